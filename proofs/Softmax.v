(** One sample: what log-sum-exp, softmax and the covariance S(y) do along a line z + a u of logits. *)

From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem.
Open Scope R_scope.

(** ** Softmax is a vector of positive probabilities *)

Lemma sum_exp_pos C z : (0 < C)%nat -> 0 < Sum C (fun i => exp (z i)).
Proof. intros HC. apply Sum_pos; [assumption|]. intros. apply exp_pos. Qed.

Lemma softmax_pos C z i : (0 < C)%nat -> 0 < softmax C z i.
Proof. intros HC. apply Rdiv_lt_0_compat; [apply exp_pos|now apply sum_exp_pos]. Qed.

Lemma softmax_sum C z : (0 < C)%nat -> Sum C (softmax C z) = 1.
Proof.
  intros HC. unfold softmax, Rdiv. rewrite Sum_scal_r. apply Rinv_r.
  apply Rgt_not_eq, sum_exp_pos, HC.
Qed.

Lemma softmax_distribution C z : (0 < C)%nat -> positive_distribution C (softmax C z).
Proof. intros HC. split; [intros; now apply softmax_pos|now apply softmax_sum]. Qed.

Lemma prob_distribution p W n : positive_distribution (classes p) (prob p W n).
Proof. apply softmax_distribution, classes_pos. Qed.

(** Equal logits, equal values. *)
Lemma lse_ext C z z' : (forall i, (i < C)%nat -> z i = z' i) -> lse C z = lse C z'.
Proof. intros H. unfold lse. f_equal. apply Sum_ext. intros. now rewrite H. Qed.

Lemma softmax_ext C z z' i : (forall i, (i < C)%nat -> z i = z' i) -> (i < C)%nat -> softmax C z i = softmax C z' i.
Proof.
  intros H Hi. unfold softmax. rewrite (H i Hi). f_equal. apply Sum_ext. intros. now rewrite H.
Qed.

(** log softmax(z)_i = z_i - lse(z) *)
Lemma ln_softmax C z i : (0 < C)%nat -> ln (softmax C z i) = z i - lse C z.
Proof.
  intros HC. unfold softmax, Rdiv, lse. assert (H := sum_exp_pos C z HC).
  rewrite ln_mult; [|apply exp_pos|now apply Rinv_0_lt_compat].
  rewrite ln_Rinv, ln_exp by assumption. ring.
Qed.

(** When all logits grow by the same amount, so does lse. *)
Lemma lse_shift C z a : (0 < C)%nat -> lse C (fun i => z i + a) = lse C z + a.
Proof.
  intros HC. unfold lse.
  rewrite (Sum_ext C _ (fun i => exp (z i) * exp a)) by (intros; apply exp_plus).
  rewrite Sum_scal_r, ln_mult, ln_exp; [reflexivity|now apply sum_exp_pos|apply exp_pos].
Qed.

(** ** Mean, variance, covariance *)

Lemma mean_const C y a : Sum C y = 1 -> mean C y (fun _ => a) = a.
Proof. intros H. unfold mean. rewrite Sum_scal_r, H. ring. Qed.

Lemma mean_ext C y y' u u' :
  (forall i, (i < C)%nat -> y i = y' i) -> (forall i, (i < C)%nat -> u i = u' i) -> mean C y u = mean C y' u'.
Proof. intros Hy Hu. apply Sum_ext. intros. now rewrite Hy, Hu. Qed.

(** (S(y) v)_i = y_i (v_i - mean v) *)
Lemma Smat_row C y v i : (i < C)%nat -> Sum C (fun j => Smat y i j * v j) = y i * (v i - mean C y v).
Proof.
  intros Hi. unfold Smat.
  rewrite (Sum_ext C _ (fun j => (if Nat.eqb j i then y i * v j else 0) - y i * (y j * v j))).
  - rewrite Sum_minus, Sum_pick, Sum_scal by assumption. unfold mean. ring.
  - intros j Hj. rewrite Nat.eqb_sym. destruct (Nat.eqb j i); ring.
Qed.

(** u^T S(y) v = sum_i y_i u_i (v_i - mean v) *)
Lemma Sform_eq C y u v : Sform C y u v = Sum C (fun i => u i * (y i * (v i - mean C y v))).
Proof.
  apply Sum_ext. intros i Hi. rewrite <- (Smat_row C y v i Hi), <- Sum_scal.
  apply Sum_ext. intros. ring.
Qed.

(** u^T S(y) v = mean (u v) - (mean u) (mean v) *)
Lemma Sform_means C y u v : Sform C y u v = Sum C (fun i => y i * (u i * v i)) - mean C y u * mean C y v.
Proof.
  rewrite Sform_eq, (Sum_ext C _ (fun i => y i * (u i * v i) - y i * u i * mean C y v)) by (intros; ring).
  rewrite Sum_minus, Sum_scal_r. reflexivity.
Qed.

Lemma Sform_sym C y u v : Sform C y u v = Sform C y v u.
Proof.
  rewrite !Sform_means, Rmult_comm. f_equal. apply Sum_ext. intros. ring.
Qed.

(** Squares about any point a: sum_i y_i (u_i - a)^2 = Var_y(u) + (mean u - a)^2. *)
Lemma squares_about C y u a :
  Sum C y = 1 -> Sum C (fun i => y i * (u i - a)²) = Var C y u + (mean C y u - a)².
Proof.
  intros H. unfold Var. set (m := mean C y u).
  rewrite (Sum_ext C _ (fun i => y i * (u i - m)² + (2 * (m - a) * (y i * u i - m * y i) + (m - a)² * y i)))
    by (intros; unfold Rsqr; ring).
  rewrite !Sum_plus, !Sum_scal, Sum_minus, Sum_scal, H. fold (mean C y u). fold m. ring.
Qed.

(** The variance is least about the mean. *)
Lemma Var_le_about C y u a : Sum C y = 1 -> Var C y u <= Sum C (fun i => y i * (u i - a)²).
Proof. intros H. rewrite squares_about by assumption. generalize (Rle_0_sqr (mean C y u - a)). lra. Qed.

(** u^T S(y) u = Var_y(u) *)
Lemma Sform_Var C y u : Sum C y = 1 -> Sform C y u u = Var C y u.
Proof.
  intros H. rewrite Sform_means. generalize (squares_about C y u 0 H).
  rewrite (Sum_ext C (fun i => y i * (u i - 0)²) (fun i => y i * (u i * u i))) by (intros; unfold Rsqr; ring).
  unfold Rsqr. lra.
Qed.

Lemma Var_nonneg C y u : (forall i, (i < C)%nat -> 0 <= y i) -> 0 <= Var C y u.
Proof. intros H. apply Sum_nonneg. intros. apply Rmult_le_pos; [auto|apply Rle_0_sqr]. Qed.

(** With positive probabilities only a constant vector has variance 0. *)
Lemma Var_zero_iff C y u :
  positive_distribution C y -> (Var C y u = 0 <-> exists a, forall i, (i < C)%nat -> u i = a).
Proof.
  intros [Hpos Hsum]. split.
  - intros H. exists (mean C y u). intros i Hi.
    assert (E : y i * (u i - mean C y u)² = 0).
    { apply (Sum_eq_0 C (fun i => y i * (u i - mean C y u)²)); [|exact H|exact Hi].
      intros j Hj. apply Rmult_le_pos; [apply Rlt_le; auto|apply Rle_0_sqr]. }
    apply Rmult_integral in E. destruct E as [E|E]; [specialize (Hpos i Hi); lra|].
    apply Rsqr_0_uniq in E. lra.
  - intros [a Ha]. apply Rle_antisym.
    + eapply Rle_trans; [apply (Var_le_about C y u a Hsum)|]. right. apply Sum_zero.
      intros i Hi. rewrite (Ha i Hi). unfold Rsqr. ring.
    + apply Var_nonneg. intros. apply Rlt_le. auto.
Qed.

(** ** Derivatives along a line of logits, a |-> z + a u *)

Lemma is_derive_sum_exp C z u w a :
  is_derive (fun a => Sum C (fun i => exp (z i + a * u i) * w i)) a
    (Sum C (fun i => u i * exp (z i + a * u i) * w i)).
Proof.
  apply (is_derive_Sum C (fun i a => exp (z i + a * u i) * w i) a (fun i => u i * exp (z i + a * u i) * w i)).
  intros i Hi. auto_derive; [trivial|ring].
Qed.

(** The derivative of lse along u is the mean of u. *)
Lemma is_derive_lse C z u a :
  (0 < C)%nat ->
  is_derive (fun a => lse C (fun i => z i + a * u i)) a (mean C (softmax C (fun i => z i + a * u i)) u).
Proof.
  intros HC. unfold lse.
  assert (Hpos := sum_exp_pos C (fun i => z i + a * u i) HC).
  assert (Hd : is_derive (fun a => Sum C (fun i => exp (z i + a * u i))) a
    (Sum C (fun i => u i * exp (z i + a * u i)))).
  { apply (is_derive_Sum C (fun i a => exp (z i + a * u i)) a (fun i => u i * exp (z i + a * u i))).
    intros i Hi. auto_derive; [trivial|ring]. }
  replace (mean C (softmax C (fun i => z i + a * u i)) u)
    with (scal (Sum C (fun i => u i * exp (z i + a * u i))) (/ Sum C (fun i => exp (z i + a * u i)))).
  - apply (is_derive_comp ln (fun a => Sum C (fun i => exp (z i + a * u i)))); [now apply is_derive_ln|exact Hd].
  - change (Sum C (fun i => u i * exp (z i + a * u i)) * / Sum C (fun i => exp (z i + a * u i))
      = mean C (softmax C (fun i => z i + a * u i)) u).
    rewrite <- Sum_scal_r. apply Sum_ext. intros i Hi. unfold softmax, Rdiv. ring.
Qed.

(** The derivative of the mean of v along u is u^T S(y) v: the softmax moves by S(y) u. *)
Lemma is_derive_mean C z u v a :
  (0 < C)%nat ->
  is_derive (fun a => mean C (softmax C (fun i => z i + a * u i)) v) a
    (Sform C (softmax C (fun i => z i + a * u i)) u v).
Proof.
  intros HC.
  assert (Hpos := sum_exp_pos C (fun i => z i + a * u i) HC).
  set (E := fun a => Sum C (fun i => exp (z i + a * u i))) in *.
  set (F := fun a => Sum C (fun i => exp (z i + a * u i) * v i)).
  assert (HE : is_derive E a (Sum C (fun i => u i * exp (z i + a * u i)))).
  { apply (is_derive_Sum C (fun i a => exp (z i + a * u i)) a (fun i => u i * exp (z i + a * u i))).
    intros i Hi. auto_derive; [trivial|ring]. }
  assert (HF := is_derive_sum_exp C z u v a : is_derive F a _).
  apply (is_derive_ext (fun a => F a / E a)).
  { intros t. unfold mean, F, E, softmax, Rdiv. rewrite <- Sum_scal_r. apply Sum_ext. intros. ring. }
  replace (Sform C (softmax C (fun i => z i + a * u i)) u v)
    with ((Sum C (fun i => u i * exp (z i + a * u i) * v i) * E a
            - F a * Sum C (fun i => u i * exp (z i + a * u i))) / (E a) ^ 2).
  { apply (is_derive_div F E); [exact HF|exact HE|]. unfold E in *. lra. }
  rewrite Sform_means.
  replace (Sum C (fun i => softmax C (fun i0 => z i0 + a * u i0) i * (u i * v i)))
    with (Sum C (fun i => u i * exp (z i + a * u i) * v i) * / E a).
  2: { rewrite <- Sum_scal_r. apply Sum_ext. intros. unfold softmax, E, Rdiv. ring. }
  replace (mean C (softmax C (fun i => z i + a * u i)) u) with (Sum C (fun i => u i * exp (z i + a * u i)) * / E a).
  2: { rewrite <- Sum_scal_r. apply Sum_ext. intros. unfold softmax, E, Rdiv. ring. }
  replace (mean C (softmax C (fun i => z i + a * u i)) v) with (F a * / E a).
  2: { unfold F. rewrite <- Sum_scal_r. apply Sum_ext. intros. unfold softmax, E, Rdiv. ring. }
  field. unfold E. lra.
Qed.
