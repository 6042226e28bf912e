(** S1-S3: the two forms of the loss, the gradient in closed form, and what the gauge does. *)

From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax.
Open Scope R_scope.

(** Only the entries of W inside C x D count. *)
Lemma logit_same p A B n i : same p A B -> (i < classes p)%nat -> logit p A n i = logit p B n i.
Proof. intros H Hi. apply Sum_ext. intros. now rewrite H. Qed.

Lemma prob_same p A B n i : same p A B -> (i < classes p)%nat -> prob p A n i = prob p B n i.
Proof. intros H Hi. apply softmax_ext; [|assumption]. intros. now apply logit_same. Qed.

Lemma loss_same p A B : same p A B -> loss p A = loss p B.
Proof.
  intros H. apply Sum_ext. intros n Hn. f_equal. f_equal.
  - apply lse_ext. intros. now apply logit_same.
  - apply Sum_ext. intros. f_equal. now apply logit_same.
Qed.

Lemma gradient_same p A B c d : same p A B -> (c < classes p)%nat -> gradient p A c d = gradient p B c d.
Proof. intros H Hc. apply Sum_ext. intros n Hn. now rewrite (prob_same p A B). Qed.

Lemma inner_same p A A' B B' : same p A A' -> same p B B' -> inner p A B = inner p A' B'.
Proof. intros H H'. apply Sum_ext. intros. apply Sum_ext. intros. now rewrite H, H'. Qed.

Lemma same_move_0 p W V : same p (move W 0 V) W.
Proof. intros c d _ _. unfold move. ring. Qed.

Lemma same_move_minus p W U : same p (move W 1 (minus U W)) U.
Proof. intros c d _ _. unfold move, minus. ring. Qed.

(** ** S1 *)

(** The loss is the cross-entropy sum_n s_n sum_i t_ni (- log y_ni), because rows of T sum to 1. *)
Theorem S1_cross_entropy p W :
  loss p W =
  Sum (samples p) (fun n => weight p n * Sum (classes p) (fun i => target p n i * - ln (prob p W n i))).
Proof.
  apply Sum_ext. intros n Hn. f_equal.
  rewrite (Sum_ext (classes p) (fun i => target p n i * - ln (prob p W n i))
    (fun i => target p n i * lse (classes p) (logit p W n) - target p n i * logit p W n i)).
  - rewrite Sum_minus, Sum_scal_r, target_sum by assumption. ring.
  - intros i Hi. unfold prob. rewrite ln_softmax by apply classes_pos. ring.
Qed.

(** Probabilities are at most 1, so the loss is never negative. *)
Lemma prob_le_1 p W n i : (i < classes p)%nat -> prob p W n i <= 1.
Proof.
  intros Hi. destruct (prob_distribution p W n) as [Hpos <-].
  apply Sum_term_le; [|assumption]. intros. now apply Rlt_le, Hpos.
Qed.

Theorem loss_nonneg p W : 0 <= loss p W.
Proof.
  rewrite S1_cross_entropy. apply Sum_nonneg. intros n Hn.
  apply Rmult_le_pos; [now apply weight_nonneg|]. apply Sum_nonneg. intros i Hi.
  apply Rmult_le_pos; [now apply target_nonneg|].
  assert (H := prob_le_1 p W n i Hi). destruct (prob_distribution p W n) as [Hpos _]. specialize (Hpos i Hi).
  assert (ln (prob p W n i) <= ln 1) by (apply ln_le; assumption). rewrite ln_1 in *. lra.
Qed.

(** ** S2 *)

(** <gradient, V> = sum_n s_n (y_n - t_n)^T V x_n *)
Lemma inner_gradient p W V :
  inner p (gradient p W) V =
  Sum (samples p) (fun n => weight p n *
    (mean (classes p) (prob p W n) (logit p V n) - Sum (classes p) (fun i => target p n i * logit p V n i))).
Proof.
  unfold gradient. rewrite (inner_outer p (fun n c => (prob p W n c - target p n c) * weight p n)).
  apply Sum_ext. intros n Hn. unfold mean. rewrite <- Sum_minus, <- Sum_scal. apply Sum_ext. intros. ring.
Qed.

(** The logits move along a line when W does. *)
Lemma prob_move p W a V n i :
  (i < classes p)%nat ->
  prob p (move W a V) n i = softmax (classes p) (fun i => logit p W n i + a * logit p V n i) i.
Proof. intros Hi. apply softmax_ext; [|assumption]. intros. apply logit_move. Qed.

(** The derivative at every point of the line W + a V. *)
Theorem S2_gradient_along p W V a :
  is_derive (fun a => loss p (move W a V)) a (inner p (gradient p (move W a V)) V).
Proof.
  rewrite inner_gradient. unfold loss.
  apply (is_derive_Sum (samples p) (fun n a => weight p n *
    (lse (classes p) (logit p (move W a V) n)
     - Sum (classes p) (fun i => target p n i * logit p (move W a V) n i))) a
    (fun n => weight p n * (mean (classes p) (prob p (move W a V) n) (logit p V n)
     - Sum (classes p) (fun i => target p n i * logit p V n i)))).
  intros n Hn. apply is_derive_scal.
  apply (is_derive_minus (fun a => lse (classes p) (logit p (move W a V) n))
    (fun a => Sum (classes p) (fun i => target p n i * logit p (move W a V) n i))).
  - apply (is_derive_ext (fun a => lse (classes p) (fun i => logit p W n i + a * logit p V n i))).
    + intros t. apply lse_ext. intros. symmetry. apply logit_move.
    + rewrite (mean_ext (classes p) _ (softmax (classes p) (fun i => logit p W n i + a * logit p V n i))
        (logit p V n) (logit p V n)); [|intros; now apply prob_move|reflexivity].
      apply is_derive_lse, classes_pos.
  - apply (is_derive_ext (fun a => Sum (classes p) (fun i => target p n i * (logit p W n i + a * logit p V n i)))).
    + intros t. apply Sum_ext. intros. now rewrite logit_move.
    + apply (is_derive_Sum (classes p) (fun i a => target p n i * (logit p W n i + a * logit p V n i)) a
        (fun i => target p n i * logit p V n i)).
      intros i Hi. auto_derive; [trivial|ring].
Qed.

(** DL(W)[V] = <(Y - T)^T diag(s) X, V> *)
Theorem S2_gradient p W V : is_derive (fun a => loss p (move W a V)) 0 (inner p (gradient p W) V).
Proof.
  rewrite (inner_same p (gradient p W) (gradient p (move W 0 V)) V V).
  - apply S2_gradient_along.
  - intros c d Hc Hd. symmetry. apply gradient_same; [apply same_move_0|assumption].
  - intros c d _ _. reflexivity.
Qed.

(** The unit matrix e_c e_d^T: along it S2 is the partial derivative with respect to W_cd. *)
Definition unit (c d : nat) : matrix := fun i j => if Nat.eqb i c then if Nat.eqb j d then 1 else 0 else 0.

Lemma inner_unit p A c d : (c < classes p)%nat -> (d < features p)%nat -> inner p A (unit c d) = A c d.
Proof.
  intros Hc Hd. unfold inner, unit.
  rewrite (Sum_ext (classes p) _ (fun i => if Nat.eqb i c then A i d else 0)).
  - apply (Sum_pick _ c (fun i => A i d)). assumption.
  - intros i Hi. destruct (Nat.eqb i c).
    + rewrite (Sum_ext (features p) _ (fun j => if Nat.eqb j d then A i j else 0)).
      * now apply Sum_pick.
      * intros j Hj. destruct (Nat.eqb j d); ring.
    + apply Sum_zero. intros. ring.
Qed.

Theorem S2_partial_derivatives p W c d :
  (c < classes p)%nat -> (d < features p)%nat ->
  is_derive (fun a => loss p (move W a (unit c d))) 0 (gradient p W c d).
Proof. intros Hc Hd. rewrite <- (inner_unit p (gradient p W) c d Hc Hd). apply S2_gradient. Qed.

(** ** S3 *)

(** 1^T gradient = 0: the classes' entries of each feature sum to zero. *)
Theorem S3_column_sums p W d : Sum (classes p) (fun c => gradient p W c d) = 0.
Proof.
  unfold gradient. rewrite Sum_swap. apply Sum_zero. intros n Hn.
  rewrite (Sum_ext (classes p) _ (fun c => (prob p W n c - target p n c) * (weight p n * input p n d)))
    by (intros; ring).
  rewrite Sum_scal_r, Sum_minus, target_sum by assumption.
  destruct (prob_distribution p W n) as [_ ->]. ring.
Qed.

(** 1 v^T: the gauge direction of v. *)
Definition gauge (v : nat -> R) : matrix := fun c d => v d.

(** The loss does not see the gauge: L(W + a 1 v^T) = L(W). *)
Theorem S3_gauge p W a v : loss p (move W a (gauge v)) = loss p W.
Proof.
  apply Sum_ext. intros n Hn. f_equal.
  set (t := a * Sum (features p) (fun d => v d * input p n d)).
  assert (E : forall i, logit p (move W a (gauge v)) n i = logit p W n i + t)
    by (intros; rewrite logit_move; reflexivity).
  rewrite (lse_ext (classes p) _ (fun i => logit p W n i + t)) by (intros; apply E).
  rewrite lse_shift by apply classes_pos.
  rewrite (Sum_ext (classes p) _ (fun i => target p n i * logit p W n i + target p n i * t))
    by (intros; rewrite E; ring).
  rewrite Sum_plus, Sum_scal_r, target_sum by assumption. ring.
Qed.

(** A step W - eta * gradient keeps 1^T W. *)
Theorem S3_descent_keeps_column_sums p W eta d :
  Sum (classes p) (fun c => move W (- eta) (gradient p W) c d) = Sum (classes p) (fun c => W c d).
Proof. unfold move. rewrite Sum_plus, Sum_scal, S3_column_sums. ring. Qed.
