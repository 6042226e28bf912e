(** * S18: a convergence rate known before training (docs/theory.md, S18) *)

From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Taylor Curvature Descent Convergence Nearby Minimum Rates.
Open Scope R_scope.

(** ** Merging all classes but one does not raise a divergence *)

Definition divergence (C : nat) (t y : nat -> R) : R := Sum C (fun i => t i * (ln (t i) - ln (y i))).

Lemma ln_le_minus_1 x : 0 < x -> ln x <= x - 1.
Proof. intros H. assert (E := exp_ineq1_le (ln x)). rewrite exp_ln in E by auto. lra. Qed.

(** KL(t | y) >= t_i log (t_i / y_i) + (1 - t_i) log (1 - t_i) *)
Lemma divergence_merged C t y i : (i < C)%nat ->
  (forall j, (j < C)%nat -> 0 < t j) -> Sum C t = 1 -> positive_distribution C y ->
  t i * (ln (t i) - ln (y i)) + (1 - t i) * ln (1 - t i) <= divergence C t y.
Proof.
  intros Hi tpos tone [ypos yone]. set (tau := 1 - t i).
  (* for j <> i: t_j (log tau + log y_j - log t_j) <= tau y_j - t_j *)
  assert (each : forall j, (j < C)%nat ->
    (if Nat.eqb j i then t i * (ln (t i) - ln (y i)) else t j * ln tau - tau * y j + t j)
      <= t j * (ln (t j) - ln (y j))).
  { intros j Hj. destruct (Nat.eqb_spec j i) as [->|ne]; [lra|].
    assert (tj := tpos j Hj). assert (yj := ypos j Hj).
    assert (tau0 : t j <= tau).
    { assert (H : (if Nat.eqb j i then 0 else t j) <= Sum C (fun j => if Nat.eqb j i then 0 else t j)).
      { apply (Sum_term_le C (fun j => if Nat.eqb j i then 0 else t j)); auto.
        intros k Hk. destruct (Nat.eqb k i); [lra|left; auto]. }
      rewrite (Sum_ext C (fun j => if Nat.eqb j i then 0 else t j) (fun j => t j - (if Nat.eqb j i then t j else 0))) in H
        by (intros k _; destruct (Nat.eqb k i); ring).
      rewrite Sum_minus, (Sum_pick C i t Hi), tone in H. destruct (Nat.eqb_spec j i); [contradiction|]. exact H. }
    assert (q0 : 0 < tau * y j / t j) by (apply Rdiv_lt_0_compat; [apply Rmult_lt_0_compat; lra|lra]).
    assert (L := ln_le_minus_1 _ q0). unfold Rdiv in L.
    rewrite ln_mult, ln_mult, ln_Rinv in L by (auto; try apply Rmult_lt_0_compat; try apply Rinv_0_lt_compat; lra).
    apply Rmult_le_compat_l with (r := t j) in L; [|lra].
    replace (t j * (tau * y j * / t j - 1)) with (tau * y j - t j) in L by (field; lra). lra. }
  apply Sum_le in each. unfold divergence. apply Rle_trans with (2 := each).
  rewrite (Sum_ext C _ (fun j => (if Nat.eqb j i then t i * (ln (t i) - ln (y i)) else 0)
    + ((t j * ln tau - tau * y j + t j) - (if Nat.eqb j i then t j * ln tau - tau * y j + t j else 0))))
    by (intros j _; destruct (Nat.eqb j i); ring).
  rewrite Sum_plus, Sum_minus, Sum_plus, Sum_minus, Sum_scal_r, Sum_scal, tone, yone.
  rewrite (Sum_pick C i (fun _ => t i * (ln (t i) - ln (y i))) Hi).
  rewrite (Sum_pick C i (fun j => t j * ln tau - tau * y j + t j) Hi).
  assert (y1 : 0 < y i) by auto. assert (tau0 : 0 <= tau).
  { unfold tau. assert (H := Sum_term_le C t i (fun j Hj => Rlt_le _ _ (tpos j Hj)) Hi). lra. }
  unfold tau in *. nra.
Qed.

Lemma divergence_nonneg C t y : (forall j, (j < C)%nat -> 0 < t j) -> Sum C t = 1 -> positive_distribution C y ->
  0 <= divergence C t y.
Proof.
  intros tpos tone [ypos yone]. apply Rle_trans with (Sum C (fun j => t j - y j)); [rewrite Sum_minus; lra|].
  apply Sum_le. intros j Hj. assert (tj := tpos j Hj). assert (yj := ypos j Hj).
  assert (q0 : 0 < y j / t j) by now apply Rdiv_lt_0_compat. assert (L := ln_le_minus_1 _ q0). unfold Rdiv in L.
  rewrite ln_mult, ln_Rinv in L by (auto; now apply Rinv_0_lt_compat).
  apply Rmult_le_compat_l with (r := t j) in L; [|lra].
  replace (t j * (y j * / t j - 1)) with (y j - t j) in L by (field; lra). lra.
Qed.

(** ** One variable: Taylor with the second derivative bounded on [0, 1] alone *)

Lemma Taylor_below_on (f f' f'' : R -> R) m :
  (forall t, is_derive f t (f' t)) -> (forall t, is_derive f' t (f'' t)) ->
  (forall t, 0 <= t <= 1 -> m <= f'' t) -> f 0 + f' 0 + m / 2 <= f 1.
Proof.
  intros Hf Hf' low.
  assert (H1 : forall t, 0 <= t <= 1 -> f' 0 + m * t <= f' t).
  { intros t Ht. pose (g := fun t => f' t - m * t). enough (g 0 <= g t) by (unfold g in *; lra).
    apply (increasing_of_derive g (fun t => f'' t - m)); [lra| |].
    - intros x. apply (is_derive_minus f' (fun t => m * t)); [apply Hf'|]. auto_derive; [trivial|ring].
    - intros x Hx. specialize (low x). lra. }
  pose (g := fun t => f t - (f' 0 * t + m * t ^ 2 / 2)). enough (g 0 <= g 1) by (unfold g in *; lra).
  apply (increasing_of_derive g (fun t => f' t - (f' 0 + m * t))); [lra| |].
  - intros x. apply (is_derive_minus f (fun t => f' 0 * t + m * t ^ 2 / 2)); [apply Hf|].
    auto_derive; [trivial|field].
  - intros x Hx. specialize (H1 x Hx). lra.
Qed.

Section Early.
  Variable p : problem.
  Notation N := (samples p).
  Notation C := (classes p).
  Notation T := (target p).
  Notation s := (weight p).

  Hypothesis positive : forall n i, (n < N)%nat -> 0 < s n -> (i < C)%nat -> 0 < T n i.

  (** sum_n s_n sum_i t_ni (- log t_ni), what the loss would be at Y = T *)
  Definition entropy : R := Sum N (fun n => s n * Sum C (fun i => T n i * - ln (T n i))).

  (** L(W) - entropy = sum_n s_n KL(t_n | y_n) *)
  Lemma loss_less_entropy W : loss p W - entropy = Sum N (fun n => s n * divergence C (T n) (prob p W n)).
  Proof.
    rewrite S1_cross_entropy. unfold entropy. rewrite <- Sum_minus. apply Sum_ext. intros n Hn.
    rewrite <- Rmult_minus_distr_l. f_equal. rewrite <- Sum_minus. apply Sum_ext. intros. ring.
  Qed.

  Lemma sample_divergence W0 W n : loss p W <= loss p W0 -> (n < N)%nat -> 0 < s n ->
    divergence C (T n) (prob p W n) <= (loss p W0 - entropy) / s n.
  Proof.
    intros low Hn sn. apply Rmult_le_reg_l with (s n); [auto|].
    replace (s n * ((loss p W0 - entropy) / s n)) with (loss p W0 - entropy) by (field; lra).
    apply Rle_trans with (loss p W - entropy); [|lra]. rewrite loss_less_entropy.
    apply (Sum_term_le N (fun n => s n * divergence C (T n) (prob p W n))); auto.
    intros k Hk. destruct (weight_nonneg p k Hk) as [sk|<-]; [|lra]. apply Rmult_le_pos; [lra|].
    apply divergence_nonneg; [intros; now apply positive|now apply target_sum|apply prob_distribution].
  Qed.

  (** log y_ni >= log t_ni + ((1 - t_ni) log (1 - t_ni) - Delta / s_n) / t_ni wherever L(W) <= L(W0) *)
  Theorem S18_log_probability W0 W n i : loss p W <= loss p W0 -> (n < N)%nat -> 0 < s n -> (i < C)%nat ->
    ln (T n i) + ((1 - T n i) * ln (1 - T n i) - (loss p W0 - entropy) / s n) / T n i <= ln (prob p W n i).
  Proof.
    intros low Hn sn Hi. assert (ti := positive n i Hn sn Hi).
    assert (H := sample_divergence W0 W n low Hn sn).
    assert (H' := divergence_merged C (T n) (prob p W n) i Hi (fun j Hj => positive n j Hn sn Hj) (target_sum p n Hn)
      (prob_distribution p W n)).
    apply Rmult_le_reg_l with (T n i); [auto|]. rewrite Rmult_plus_distr_l.
    replace (T n i * (((1 - T n i) * ln (1 - T n i) - (loss p W0 - entropy) / s n) / T n i))
      with ((1 - T n i) * ln (1 - T n i) - (loss p W0 - entropy) / s n) by (field; split; lra). lra.
  Qed.

  Variables (W0 : matrix) (log_delta sig2 Lambda : R).
  (** log delta is the least right-hand side *)
  Hypothesis delta_below : forall n i, (n < N)%nat -> 0 < s n -> (i < C)%nat ->
    log_delta <= ln (T n i) + ((1 - T n i) * ln (1 - T n i) - (loss p W0 - entropy) / s n) / T n i.
  Hypothesis sig2_pos : 0 < sig2.
  Hypothesis gram : gram_lower p sig2.
  Hypothesis Lambda_pos : 0 < Lambda.
  Hypothesis bound : curvature_bound p Lambda.

  Definition mu : R := exp log_delta * sig2.

  Lemma mu_pos : 0 < mu.
  Proof. apply Rmult_lt_0_compat; [apply exp_pos|auto]. Qed.

  (** Where L(W) <= L(W0), the curvature on the complement is at least mu. *)
  Theorem S18_curvature W U : loss p W <= loss p W0 -> complement p U -> mu * norm2 p U <= hessian p W U U.
  Proof.
    intros low HU. apply S7c_lower_bound; auto; [|left; apply exp_pos].
    intros n i Hn sn Hi. destruct (prob_distribution p W n) as [pos _]. rewrite <- (exp_ln (prob p W n i)) by auto.
    apply exp_le_mono. apply Rle_trans with (1 := delta_below n i Hn sn Hi). now apply S18_log_probability.
  Qed.

  (** |grad L(W)|^2 >= 2 mu (L(W) - L(M)) there *)
  Lemma gradient_dominates W M : loss p W <= loss p W0 -> minimiser p M ->
    2 * mu * (loss p W - loss p M) <= norm2 p (gradient p W).
  Proof.
    intros low least.
    (* a minimiser in W + complement *)
    destruct (kernel_decomposition p (minus M W)) as [K [ker HU]]. set (U := minus (minus M W) K) in *.
    assert (EM : loss p (move W 1 U) = loss p M).
    { rewrite <- (S6_loss_constant p (move W 1 U) K 1 ker). apply loss_same.
      intros c d _ _. unfold U, move, minus. ring. }
    assert (Hc := Taylor_below_on (fun a => loss p (move W a U)) (fun a => inner p (gradient p (move W a U)) U)
      (fun a => hessian p (move W a U) U U) (mu * norm2 p U) (S2_gradient_along p W U) (S4_second_derivative_along p W U U)).
    cbv beta in Hc.
    assert (between : forall t, 0 <= t <= 1 -> mu * norm2 p U <= hessian p (move W t U) U U).
    { intros t Ht. apply S18_curvature; auto.
      (* the loss on the segment is at most L(W0), by convexity *)
      assert (cv := S5_convex p W (move W 1 U) t Ht).
      rewrite (loss_same p (move W t (minus (move W 1 U) W)) (move W t U)) in cv
        by (intros c d _ _; unfold move, minus; ring).
      assert (lM := least W). rewrite EM in cv. nra. }
    specialize (Hc between).
    rewrite (loss_same p (move W 0 U) W), EM in Hc by apply same_move_0.
    rewrite (inner_same p (gradient p (move W 0 U)) (gradient p W) U U) in Hc;
      [|intros c d Hcc _; apply gradient_same; [apply same_move_0|auto]|intros c d _ _; reflexivity].
    assert (cs := inner_ge p (gradient p W) U). rewrite <- norm_sqr in Hc. rewrite <- norm_sqr.
    set (g := norm p (gradient p W)) in *. set (u := norm p U) in *. assert (m0 := mu_pos).
    (* - g u + mu u^2 / 2 >= - g^2 / (2 mu) *)
    assert (0 <= (g - mu * u)²) by apply Rle_0_sqr. unfold Rsqr in *. nra.
  Qed.

  Lemma mu_le_Lambda W M : loss p W <= loss p W0 -> minimiser p M -> loss p M < loss p W -> mu <= Lambda.
  Proof.
    intros low least lt. assert (H := gradient_dominates W M low least). assert (m0 := mu_pos).
    assert (D := S16_descent p Lambda (/ Lambda) W bound (Rlt_le _ _ (Rinv_0_lt_compat _ Lambda_pos))).
    rewrite Rinv_l in D by lra. specialize (D (Rle_refl 1)). specialize (least (step p (/ Lambda) W)).
    assert (i0 : 0 < / Lambda) by now apply Rinv_0_lt_compat.
    (* g^2 / (2 Lambda) <= L(W) - L(M) <= g^2 / (2 mu) *)
    assert (G : norm2 p (gradient p W) <= 2 * Lambda * (loss p W - loss p M)).
    { apply Rmult_le_reg_l with (/ Lambda / 2); [lra|].
      replace (/ Lambda / 2 * (2 * Lambda * (loss p W - loss p M))) with (loss p W - loss p M) by (field; lra). lra. }
    nra.
  Qed.

  Lemma iterates_below k : loss p (descent p (/ Lambda) W0 k) <= loss p W0.
  Proof.
    induction k as [|k IH]; [simpl; lra|]. apply Rle_trans with (2 := IH). simpl.
    assert (D := S16_descent p Lambda (/ Lambda) (descent p (/ Lambda) W0 k) bound (Rlt_le _ _ (Rinv_0_lt_compat _ Lambda_pos))).
    rewrite Rinv_l in D by lra. specialize (D (Rle_refl 1)).
    assert (n0 := norm2_nonneg p (gradient p (descent p (/ Lambda) W0 k))).
    assert (i0 : 0 < / Lambda) by now apply Rinv_0_lt_compat. nra.
  Qed.

  (** From the very start a step 1 / Lambda shrinks L - L* by the factor 1 - mu / Lambda. *)
  Theorem S18_step M k : minimiser p M ->
    loss p (descent p (/ Lambda) W0 (S k)) - loss p M
      <= (1 - mu / Lambda) * (loss p (descent p (/ Lambda) W0 k) - loss p M).
  Proof.
    intros least. set (W := descent p (/ Lambda) W0 k). change (descent p (/ Lambda) W0 (S k)) with (step p (/ Lambda) W).
    assert (D := S16_descent p Lambda (/ Lambda) W bound (Rlt_le _ _ (Rinv_0_lt_compat _ Lambda_pos))).
    rewrite Rinv_l in D by lra. specialize (D (Rle_refl 1)).
    assert (H := gradient_dominates W M (iterates_below k) least).
    assert (i0 : 0 < / Lambda) by now apply Rinv_0_lt_compat. unfold Rdiv in *.
    assert (/ Lambda * (2 * mu * (loss p W - loss p M)) <= / Lambda * norm2 p (gradient p W))
      by (apply Rmult_le_compat_l; lra). lra.
  Qed.

  Theorem S18_rate M k : minimiser p M ->
    loss p (descent p (/ Lambda) W0 k) - loss p M <= (1 - mu / Lambda) ^ k * (loss p W0 - loss p M).
  Proof.
    intros least. induction k as [|k IH]; [simpl; lra|].
    assert (H := S18_step M k least). destruct (least W0) as [lt|eq].
    - assert (m := mu_le_Lambda W0 M (Rle_refl _) least lt).
      assert (f0 : 0 <= 1 - mu / Lambda).
      { assert (mu / Lambda <= 1); [|lra]. apply Rmult_le_reg_r with Lambda; [auto|]. unfold Rdiv.
        rewrite Rmult_assoc, Rinv_l by lra. lra. }
      apply Rle_trans with (1 := H). simpl. rewrite Rmult_assoc. now apply Rmult_le_compat_l.
    - (* W0 is a minimiser already *)
      assert (b := iterates_below (S k)). rewrite <- eq in b |- *. rewrite Rminus_eq_0, Rmult_0_r. lra.
  Qed.
End Early.
