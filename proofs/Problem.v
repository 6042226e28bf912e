(** The problem and every quantity that the theorems speak of, in the notation of docs/theory.md, section 0. *)

From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums.
Open Scope R_scope.

(** A problem: N samples, C classes, D features; inputs X (N x D), targets T (N x C) whose rows are probability vectors,
    sample weights s >= 0. *)
Record problem := {
  samples : nat;
  classes : nat;
  features : nat;
  input : nat -> nat -> R;
  target : nat -> nat -> R;
  weight : nat -> R;
  classes_pos : (0 < classes)%nat;
  weight_nonneg : forall n, (n < samples)%nat -> 0 <= weight n;
  target_nonneg : forall n i, (n < samples)%nat -> (i < classes)%nat -> 0 <= target n i;
  target_sum : forall n, (n < samples)%nat -> Sum classes (target n) = 1;
}.

(** Weights W and directions V are matrices C x D. *)
Definition matrix := nat -> nat -> R.

(** ** One row: log-sum-exp, softmax, mean, variance, covariance *)

(** lse(z) = log (exp z_0 + ... + exp z_(C-1)) *)
Definition lse (C : nat) (z : nat -> R) : R := ln (Sum C (fun i => exp (z i))).

(** softmax(z)_i = exp z_i / sum_j exp z_j *)
Definition softmax (C : nat) (z : nat -> R) (i : nat) : R := exp (z i) / Sum C (fun j => exp (z j)).

(** A vector of probabilities, all positive (as a softmax is). *)
Definition positive_distribution (C : nat) (y : nat -> R) : Prop :=
  (forall i, (i < C)%nat -> 0 < y i) /\ Sum C y = 1.

(** mean_y(u) = sum_i y_i u_i and Var_y(u) = sum_i y_i (u_i - mean_y(u))^2 *)
Definition mean (C : nat) (y u : nat -> R) : R := Sum C (fun i => y i * u i).
Definition Var (C : nat) (y u : nat -> R) : R := Sum C (fun i => y i * (u i - mean C y u)²).

(** The covariance matrix S(y) = diag(y) - y y^T and its bilinear form u^T S(y) v. *)
Definition Smat (y : nat -> R) (i j : nat) : R := (if Nat.eqb i j then y i else 0) - y i * y j.
Definition Sform (C : nat) (y u v : nat -> R) : R := Sum C (fun i => Sum C (fun j => u i * Smat y i j * v j)).

Section Problem.
  Variable p : problem.
  Notation N := (samples p).
  Notation C := (classes p).
  Notation D := (features p).
  Notation X := (input p).
  Notation T := (target p).
  Notation s := (weight p).

  (** <A, B> = sum_cd A_cd B_cd, ||A||^2 and ||A|| *)
  Definition inner (A B : matrix) : R := Sum C (fun c => Sum D (fun d => A c d * B c d)).
  Definition norm2 (A : matrix) : R := inner A A.
  Definition norm (A : matrix) : R := sqrt (norm2 A).

  (** (W x_n)_i: the logits z_n of sample n under W; also V x_n for a direction V. *)
  Definition logit (W : matrix) (n i : nat) : R := Sum D (fun d => W i d * X n d).

  (** y_n = softmax(W x_n) *)
  Definition prob (W : matrix) (n : nat) : nat -> R := softmax C (logit W n).

  (** S1: L(W) = sum_n s_n (lse(z_n) - t_n^T z_n) *)
  Definition loss (W : matrix) : R :=
    Sum N (fun n => s n * (lse C (logit W n) - Sum C (fun i => T n i * logit W n i))).

  (** S2: the matrix (Y - T)^T diag(s) X *)
  Definition gradient (W : matrix) : matrix := fun c d => Sum N (fun n => (prob W n c - T n c) * s n * X n d).

  (** S4: D2L(W)[U, V] = sum_n s_n (U x_n)^T S(y_n) (V x_n) *)
  Definition hessian (W U V : matrix) : R := Sum N (fun n => s n * Sform C (prob W n) (logit U n) (logit V n)).

  (** S6: the kernel: V x_n is a multiple of the all-ones vector for every sample with positive weight. *)
  Definition kernel (V : matrix) : Prop :=
    forall n, (n < N)%nat -> 0 < s n -> exists a, forall i, (i < C)%nat -> logit V n i = a.

  (** W minimises the loss. *)
  Definition minimiser (W : matrix) : Prop := forall U, loss W <= loss U.

  (** Two matrices with the same entries. *)
  Definition same (A B : matrix) : Prop := forall c d, (c < C)%nat -> (d < D)%nat -> A c d = B c d.
End Problem.

(** W + a V, and A - B. *)
Definition move (W : matrix) (a : R) (V : matrix) : matrix := fun c d => W c d + a * V c d.
Definition minus (A B : matrix) : matrix := fun c d => A c d - B c d.

(** ** The first rules: everything is linear where it looks linear *)

Lemma logit_move p W a V n i : logit p (move W a V) n i = logit p W n i + a * logit p V n i.
Proof. unfold logit, move. rewrite <- Sum_scal, <- Sum_plus. apply Sum_ext. intros. ring. Qed.

Lemma logit_minus p A B n i : logit p (minus A B) n i = logit p A n i - logit p B n i.
Proof. unfold logit, minus. rewrite <- Sum_minus. apply Sum_ext. intros. ring. Qed.

Lemma inner_comm p A B : inner p A B = inner p B A.
Proof. apply Sum_ext. intros. apply Sum_ext. intros. ring. Qed.

Lemma inner_move_l p W a V B : inner p (move W a V) B = inner p W B + a * inner p V B.
Proof.
  unfold inner, move. rewrite <- Sum_scal, <- Sum_plus. apply Sum_ext. intros.
  rewrite <- Sum_scal, <- Sum_plus. apply Sum_ext. intros. ring.
Qed.

Lemma inner_move_r p W a V B : inner p B (move W a V) = inner p B W + a * inner p B V.
Proof. rewrite inner_comm, inner_move_l, (inner_comm p W), (inner_comm p V). reflexivity. Qed.

Lemma inner_minus_l p A B E : inner p (minus A B) E = inner p A E - inner p B E.
Proof.
  unfold inner, minus. rewrite <- Sum_minus. apply Sum_ext. intros.
  rewrite <- Sum_minus. apply Sum_ext. intros. ring.
Qed.

Lemma inner_minus_r p A B E : inner p E (minus A B) = inner p E A - inner p E B.
Proof. rewrite inner_comm, inner_minus_l, (inner_comm p A), (inner_comm p B). reflexivity. Qed.

Lemma norm2_nonneg p A : 0 <= norm2 p A.
Proof. apply Sum_nonneg. intros. apply Sum_nonneg. intros. nra. Qed.

Lemma norm_sqr p A : (norm p A)² = norm2 p A.
Proof. unfold norm. apply Rsqr_sqrt, norm2_nonneg. Qed.

Lemma norm2_move p W a V : norm2 p (move W a V) = norm2 p W + 2 * a * inner p W V + a² * norm2 p V.
Proof.
  unfold norm2. rewrite inner_move_l, !inner_move_r, (inner_comm p V W). unfold Rsqr. ring.
Qed.

(** A sum over samples with a gradient: <sum_n a_n (b_n x_n^T), V> = sum_n a_n b_n^T (V x_n) *)
Lemma inner_outer p (b : nat -> nat -> R) V :
  inner p (fun c d => Sum (samples p) (fun n => b n c * input p n d)) V =
  Sum (samples p) (fun n => Sum (classes p) (fun i => b n i * logit p V n i)).
Proof.
  unfold inner, logit. rewrite (Sum_swap (samples p)). apply Sum_ext. intros c Hc.
  rewrite (Sum_ext (features p) _ (fun d => Sum (samples p) (fun n => b n c * (V c d * input p n d)))).
  - rewrite Sum_swap. apply Sum_ext. intros. apply Sum_scal.
  - intros d Hd. rewrite <- Sum_scal_r. apply Sum_ext. intros. ring.
Qed.

(** The Cauchy-Schwarz inequality for matrices. *)
Lemma inner_Cauchy_Schwarz p A B : (inner p A B)² <= norm2 p A * norm2 p B.
Proof.
  (* ||A||^2 a^2 + 2 <A,B> a + ||B||^2 = ||B + a A||^2 >= 0 for every a *)
  assert (H : forall a, 0 <= norm2 p B + 2 * a * inner p B A + a² * norm2 p A)
    by (intros a; rewrite <- norm2_move; apply norm2_nonneg).
  rewrite (inner_comm p B A) in H. set (m := inner p A B) in *.
  assert (HA := norm2_nonneg p A). assert (HB := norm2_nonneg p B). unfold Rsqr in *.
  destruct (Req_dec (norm2 p A) 0) as [E|E].
  - destruct (Req_dec m 0) as [->|Em]; [nra|].
    specialize (H (- (norm2 p B + 1) / (2 * m))). rewrite E in H.
    replace (2 * (- (norm2 p B + 1) / (2 * m)) * m) with (- (norm2 p B + 1)) in H by (field; lra). lra.
  - specialize (H (- m / norm2 p A)).
    replace (norm2 p B + 2 * (- m / norm2 p A) * m + - m / norm2 p A * (- m / norm2 p A) * norm2 p A)
      with ((norm2 p A * norm2 p B - m * m) / norm2 p A) in H by (field; lra).
    assert (0 < norm2 p A) by lra.
    apply (Rmult_le_compat_r (norm2 p A)) in H; [|lra].
    unfold Rdiv in H. rewrite Rmult_assoc, Rinv_l in H by lra. lra.
Qed.
