(** * S8: how fast the Hessian can change (docs/theory.md, S8)

    The third derivative and its bound, with the best constant 1; and the integrated form, which needs no derivative: a
    step along V multiplies no probability by more than e^range, and a variance is least about its own mean. *)

From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Curvature.
Open Scope R_scope.

(** ** One sample *)

(** range(v) <= rho *)
Definition range_below (C : nat) (v : nat -> R) (rho : R) : Prop :=
  forall i j, (i < C)%nat -> (j < C)%nat -> v i - v j <= rho.

(** The third cumulant E[(v - mean v) (u - mean u)^2]. *)
Definition third_cumulant (C : nat) (y v u : nat -> R) : R :=
  Sum C (fun i => y i * ((v i - mean C y v) * (u i - mean C y u)²)).

(** The mean lies between the entries. *)
Lemma mean_between C y v lo hi : (forall i, (i < C)%nat -> 0 <= y i) -> Sum C y = 1 ->
  (forall i, (i < C)%nat -> lo <= v i <= hi) -> lo <= mean C y v <= hi.
Proof.
  intros pos one b. unfold mean. split.
  - rewrite <- (Rmult_1_l lo), <- one, <- Sum_scal_r. apply Sum_le. intros i Hi.
    apply Rmult_le_compat_l; [auto|apply b; auto].
  - rewrite <- (Rmult_1_l hi), <- one, <- Sum_scal_r. apply Sum_le. intros i Hi.
    apply Rmult_le_compat_l; [auto|apply b; auto].
Qed.

(** |v_i - mean v| <= range(v) *)
Lemma deviation_le_range C y v rho i : (forall i, (i < C)%nat -> 0 <= y i) -> Sum C y = 1 ->
  range_below C v rho -> (i < C)%nat -> Rabs (v i - mean C y v) <= rho.
Proof.
  intros pos one r Hi. assert (H := mean_between C y v (v i - rho) (v i + rho) pos one).
  apply Rabs_le. enough (v i - rho <= mean C y v <= v i + rho) by lra. apply H.
  intros j Hj. assert (H1 := r i j Hi Hj). assert (H2 := r j i Hj Hi). lra.
Qed.

(** The third cumulant is at most range(v) Var(u). *)
Lemma third_cumulant_le C y v u rho : (forall i, (i < C)%nat -> 0 <= y i) -> Sum C y = 1 ->
  range_below C v rho -> Rabs (third_cumulant C y v u) <= rho * Var C y u.
Proof.
  intros pos one r. unfold Var. rewrite <- Sum_scal. apply Rabs_le. rewrite <- Sum_opp. unfold third_cumulant.
  split; apply Sum_le; intros i Hi; assert (d := deviation_le_range C y v rho i pos one r Hi);
    apply Rabs_le_between in d; specialize (pos i Hi); assert (sq := Rle_0_sqr (u i - mean C y u));
    assert (0 <= y i * (u i - mean C y u)²) by (apply Rmult_le_pos; auto);
    replace (y i * ((v i - mean C y v) * (u i - mean C y u)²))
      with ((v i - mean C y v) * (y i * (u i - mean C y u)²)) by ring; nra.
Qed.

(** The constant 1 is the best one: two classes with the probabilities e, 1 - e have the ratio 1 - 2 e. *)
Theorem S8_best_constant c : c < 1 ->
  exists y u, positive_distribution 2 y /\ range_below 2 u 1 /\ c * 1 * Var 2 y u < third_cumulant 2 y u u.
Proof.
  intros lt. set (e := Rmin (1/4) ((1 - c) / 4)).
  assert (e0 : 0 < e) by (apply Rmin_glb_lt; lra).
  assert (e1 : e <= 1/4) by apply Rmin_l. assert (e2 : e <= (1 - c) / 4) by apply Rmin_r.
  exists (fun i => match i with O => 1 - e | _ => e end), (fun i => match i with O => 0 | _ => 1 end).
  repeat split.
  - intros i Hi. destruct i; lra.
  - simpl. ring.
  - intros i j _ _. destruct i, j; lra.
  - unfold third_cumulant, Var, mean, Rsqr. simpl.
    ring_simplify. assert (0 < e * (1 - e)) by nra.
    apply Rminus_gt_0_lt.
    match goal with |- 0 < ?x => replace x with (e * (1 - e) * (1 - 2 * e - c)) by ring end.
    apply Rmult_lt_0_compat; [auto|lra].
Qed.

(** Along z + a v the derivative of Var_y(u) is the third cumulant. *)
Lemma is_derive_Var C z v u a : (0 < C)%nat ->
  is_derive (fun a => Var C (softmax C (fun i => z i + a * v i)) u) a
    (third_cumulant C (softmax C (fun i => z i + a * v i)) v u).
Proof.
  intros HC.
  (* Var = mean of u^2 less the square of the mean *)
  apply (is_derive_ext (fun a => mean C (softmax C (fun i => z i + a * v i)) (fun i => u i * u i)
    - mean C (softmax C (fun i => z i + a * v i)) u * mean C (softmax C (fun i => z i + a * v i)) u)).
  { intros t. rewrite <- Sform_Var by now apply softmax_sum. rewrite Sform_means. reflexivity. }
  set (y := softmax C (fun i => z i + a * v i)).
  replace (third_cumulant C y v u) with
    (Sform C y v (fun i => u i * u i) - (Sform C y v u * mean C y u + mean C y u * Sform C y v u)).
  - apply (is_derive_minus (fun a => mean C (softmax C (fun i => z i + a * v i)) (fun i => u i * u i))
      (fun a => mean C (softmax C (fun i => z i + a * v i)) u * mean C (softmax C (fun i => z i + a * v i)) u)).
    + now apply is_derive_mean.
    + apply (is_derive_mult (fun a => mean C (softmax C (fun i => z i + a * v i)) u)
        (fun a => mean C (softmax C (fun i => z i + a * v i)) u)); try now apply is_derive_mean.
      intros; apply Rmult_comm.
  - assert (one : Sum C y = 1) by now apply softmax_sum.
    rewrite (Sform_sym C y v (fun i => u i * u i)), (Sform_sym C y v u), !Sform_eq. unfold third_cumulant.
    set (m := mean C y u). set (mv := mean C y v).
    (* the mean of v - mean v is 0 *)
    assert (zero : Sum C (fun i => y i * (v i - mv)) = 0).
    { rewrite (Sum_ext C _ (fun i => y i * v i - y i * mv)) by (intros; ring).
      rewrite Sum_minus, Sum_scal_r, one. unfold mv, mean. ring. }
    rewrite (Sum_ext C (fun i => y i * ((v i - mv) * (u i - m)²)) (fun i =>
      u i * u i * (y i * (v i - mv)) - 2 * m * (u i * (y i * (v i - mv))) + m * m * (y i * (v i - mv))))
      by (intros; unfold Rsqr; ring).
    rewrite Sum_plus, Sum_minus, !Sum_scal, zero. ring.
Qed.

(** A step along v multiplies no probability by more than e^range(v). *)
Lemma softmax_ratio C z v rho i : range_below C v rho -> (i < C)%nat ->
  softmax C (fun i => z i + v i) i <= exp rho * softmax C z i.
Proof.
  intros r Hi. assert (HC : (0 < C)%nat) by lia. unfold softmax.
  assert (P1 := sum_exp_pos C z HC). assert (P2 := sum_exp_pos C (fun i => z i + v i) HC).
  (* exp (z_i + v_i) (sum_j exp z_j) <= exp rho exp z_i (sum_j exp (z_j + v_j)), term by term *)
  assert (H : exp (z i + v i) * Sum C (fun j => exp (z j)) <= exp rho * exp (z i) * Sum C (fun j => exp (z j + v j))).
  { rewrite <- !Sum_scal. apply Sum_le. intros j Hj. rewrite <- !exp_plus. specialize (r i j Hi Hj).
    destruct (Rle_lt_or_eq_dec (z i + v i + z j) (rho + z i + (z j + v j))) as [l| ->];
      [lra|left; now apply exp_increasing|lra]. }
  apply Rmult_le_reg_r with (Sum C (fun j => exp (z j + v j))); [auto|].
  apply Rmult_le_reg_r with (Sum C (fun j => exp (z j))); [auto|]. field_simplify; lra.
Qed.

(** ... so no variance either: Var is least about its own mean. *)
Lemma Var_ratio C z v u rho : (0 < C)%nat -> range_below C v rho ->
  Var C (softmax C (fun i => z i + v i)) u <= exp rho * Var C (softmax C z) u.
Proof.
  intros HC r. set (y := softmax C z).
  apply Rle_trans with (1 := Var_le_about C _ u (mean C y u) (softmax_sum C _ HC)).
  unfold Var. rewrite <- Sum_scal. apply Sum_le. intros i Hi.
  assert (H := softmax_ratio C z v rho i r Hi). fold y in H. assert (sq := Rle_0_sqr (u i - mean C y u)). nra.
Qed.

(** ** All samples *)

Section SelfConcordance.
  Variable p : problem.
  Notation N := (samples p).
  Notation C := (classes p).
  Notation X := (input p).
  Notation s := (weight p).

  (** max_n range(V x_n) <= rho *)
  Definition ranges_below (V : matrix) (rho : R) : Prop :=
    forall n, (n < N)%nat -> 0 < s n -> range_below C (logit p V n) rho.

  (** D3L(W)[V, U, U] *)
  Definition third (W V U : matrix) : R :=
    Sum N (fun n => s n * third_cumulant C (prob p W n) (logit p V n) (logit p U n)).

  Lemma Var_ext_y D y y' u : (forall i, (i < D)%nat -> y i = y' i) -> Var D y u = Var D y' u.
  Proof.
    intros E. unfold Var. rewrite (mean_ext D y y' u u) by auto. apply Sum_ext. intros. now rewrite E.
  Qed.

  Lemma third_cumulant_ext_y D y y' v u : (forall i, (i < D)%nat -> y i = y' i) ->
    third_cumulant D y v u = third_cumulant D y' v u.
  Proof.
    intros E. unfold third_cumulant. rewrite (mean_ext D y y' u u), (mean_ext D y y' v v) by auto.
    apply Sum_ext. intros. now rewrite E.
  Qed.

  (** It is the derivative of D2L(W + a V)[U, U]. *)
  Theorem S8_third_derivative_along W V U a :
    is_derive (fun a => hessian p (move W a V) U U) a (third (move W a V) V U).
  Proof.
    apply (is_derive_ext (fun a => Sum N (fun n =>
      s n * Var C (softmax C (fun i => logit p W n i + a * logit p V n i)) (logit p U n)))).
    { intros t. rewrite S4_variance. apply Sum_ext. intros n Hn. f_equal. apply Var_ext_y.
      intros. symmetry. now apply prob_move. }
    unfold third.
    apply (is_derive_Sum N
      (fun n a => s n * Var C (softmax C (fun i => logit p W n i + a * logit p V n i)) (logit p U n)) a
      (fun n => s n * third_cumulant C (prob p (move W a V) n) (logit p V n) (logit p U n))).
    intros n Hn. apply is_derive_scal.
    rewrite (third_cumulant_ext_y C _ (softmax C (fun i => logit p W n i + a * logit p V n i)))
      by (intros; now apply prob_move).
    apply is_derive_Var, classes_pos.
  Qed.

  (** |D3L(W)[V, U, U]| <= rho(V) D2L(W)[U, U] *)
  Theorem S8_third_derivative_bound W V U rho : ranges_below V rho ->
    Rabs (third W V U) <= rho * hessian p W U U.
  Proof.
    intros r. rewrite S4_variance, <- Sum_scal. apply Rabs_le. rewrite <- Sum_opp. unfold third.
    assert (each : forall n, (n < N)%nat ->
      - (rho * (s n * Var C (prob p W n) (logit p U n)))
        <= s n * third_cumulant C (prob p W n) (logit p V n) (logit p U n)
        <= rho * (s n * Var C (prob p W n) (logit p U n))).
    { intros n Hn. destruct (weight_nonneg p n Hn) as [sn|<-]; [|lra].
      destruct (prob_distribution p W n) as [pos one].
      assert (H := third_cumulant_le C (prob p W n) (logit p V n) (logit p U n) rho
        (fun i Hi => Rlt_le _ _ (pos i Hi)) one (r n Hn sn)).
      apply Rabs_le_between in H. nra. }
    split; apply Sum_le; intros n Hn; apply each; auto.
  Qed.

  Lemma range_scale V rho a n : range_below C (logit p V n) rho -> range_below C (fun i => a * logit p V n i) (Rabs a * rho).
  Proof.
    intros r i j Hi Hj. assert (H1 := r i j Hi Hj). assert (H2 := r j i Hj Hi). unfold Rabs. destruct (Rcase_abs a); nra.
  Qed.

  (** H(W + a V) <= e^(|a| rho) H(W) *)
  Theorem S8_Hessian_above W V U rho a : ranges_below V rho ->
    hessian p (move W a V) U U <= exp (Rabs a * rho) * hessian p W U U.
  Proof.
    intros r. rewrite !S4_variance, <- Sum_scal. apply Sum_le. intros n Hn.
    destruct (weight_nonneg p n Hn) as [sn|<-]; [|lra].
    rewrite (Var_ext_y C (prob p (move W a V) n) (softmax C (fun i => logit p W n i + a * logit p V n i)))
      by (intros; now apply prob_move).
    assert (H := Var_ratio C (logit p W n) (fun i => a * logit p V n i) (logit p U n) _ (classes_pos p)
      (range_scale V rho a n (r n Hn sn))).
    fold (prob p W n) in H. nra.
  Qed.

  (** e^(- |a| rho) H(W) <= H(W + a V): the same, seen from W + a V. *)
  Theorem S8_Hessian_below W V U rho a : ranges_below V rho ->
    exp (- (Rabs a * rho)) * hessian p W U U <= hessian p (move W a V) U U.
  Proof.
    intros r. assert (H := S8_Hessian_above (move W a V) V U rho (- a) r).
    rewrite Rabs_Ropp in H.
    rewrite (hessian_same p (move (move W a V) (- a) V) W) in H by (intros c d _ _; unfold move; ring).
    rewrite exp_Ropp. assert (E := exp_pos (Rabs a * rho)).
    apply Rmult_le_reg_l with (exp (Rabs a * rho)); [auto|]. rewrite <- Rmult_assoc, Rinv_r by lra. lra.
  Qed.

  (** e^(-rho) H(W) <= H(W + V) <= e^rho H(W) *)
  Corollary S8_self_concordance W V U rho : ranges_below V rho ->
    exp (- rho) * hessian p W U U <= hessian p (move W 1 V) U U <= exp rho * hessian p W U U.
  Proof.
    intros r. assert (H1 := S8_Hessian_below W V U rho 1 r). assert (H2 := S8_Hessian_above W V U rho 1 r).
    rewrite Rabs_R1, Rmult_1_l in H1, H2. auto.
  Qed.

  (** rho(V) <= sqrt 2 |V| max |x_n|: with 2 |x_n|^2 <= beta^2, every range is at most beta |V|. *)
  Theorem S8_range_below_norm V beta : 0 <= beta ->
    (forall n, (n < N)%nat -> 0 < s n -> 2 * dot (features p) (X n) (X n) <= beta²) ->
    ranges_below V (beta * norm p V).
  Proof.
    intros b0 large n Hn sn i j Hi Hj. specialize (large n Hn sn).
    apply Rsqr_incr_0_var; [|apply Rmult_le_pos; [auto|apply sqrt_pos]].
    rewrite Rsqr_mult, norm_sqr.
    destruct (Nat.eq_dec i j) as [->|ne].
    { rewrite Rminus_eq_0, Rsqr_0. apply Rmult_le_pos; [apply Rle_0_sqr|apply norm2_nonneg]. }
    (* (V x)_i - (V x)_j = (v_i - v_j)^T x, and |v_i - v_j|^2 <= 2 (|v_i|^2 + |v_j|^2) *)
    assert (E : logit p V n i - logit p V n j = dot (features p) (fun d => V i d - V j d) (X n)).
    { unfold logit, dot. rewrite <- Sum_minus. apply Sum_ext. intros. ring. }
    rewrite E. apply Rle_trans with (1 := Cauchy_Schwarz _ _ _).
    assert (two : dot (features p) (fun d => V i d - V j d) (fun d => V i d - V j d) <= 2 * norm2 p V).
    { set (f := fun c => Sum (features p) (fun d => V c d * V c d)).
      assert (f i + f j <= norm2 p V).
      { unfold norm2, inner. fold f. rewrite <- (Sum_pick C i f Hi), <- (Sum_pick C j f Hj), <- Sum_plus.
        apply Sum_le. intros k Hk. assert (0 <= f k) by (apply Sum_nonneg; intros; nra).
        destruct (Nat.eqb_spec k i), (Nat.eqb_spec k j); lra || lia. }
      enough (dot (features p) (fun d => V i d - V j d) (fun d => V i d - V j d) <= 2 * (f i + f j)) by lra.
      unfold f, dot. rewrite <- Sum_plus, <- Sum_scal. apply Sum_le. intros d Hd.
      assert (0 <= (V i d + V j d)²) by apply Rle_0_sqr. unfold Rsqr in *. lra. }
    assert (x0 := dot_self_nonneg (features p) (X n)). assert (v0 := norm2_nonneg p V). nra.
  Qed.
End SelfConcordance.
