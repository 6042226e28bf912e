(** * S13: a minimiser nearby, with error bounds (docs/theory.md, S13)

    First for any norm in which the logits' ranges and the curvature are bounded (the plain norm and the scaled ones are
    cases of it), then in the plain norm, on the complement of the kernel; last with scaled features. *)

From Coq Require Import Reals Lra Lia List Classical.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Taylor Curvature Recession Dual SelfConcordance.
Import ListNotations.
Open Scope R_scope.

(** ** One variable: a second derivative of at least m e^(- b t) *)

Lemma increasing_of_derive f df a b : a <= b -> (forall t, is_derive f t (df t)) ->
  (forall t, a <= t <= b -> 0 <= df t) -> f a <= f b.
Proof.
  intros le D pos. destruct (mean_value f df a b le D) as [c [Hc E]]. specialize (pos c Hc). nra.
Qed.

Section Scalar.
  Variables (f f' f'' : R -> R) (m b : R).
  Hypothesis b0 : 0 < b.
  Hypothesis Df : forall t, is_derive f t (f' t).
  Hypothesis Df' : forall t, is_derive f' t (f'' t).
  Hypothesis curved : forall t, 0 <= t -> m * exp (- (b * t)) <= f'' t.

  (** f'(t) >= f'(0) + (m / b) (1 - e^(- b t)) *)
  Lemma slope_grows t : 0 <= t -> f' 0 + m / b * (1 - exp (- (b * t))) <= f' t.
  Proof.
    intros t0. pose (g := fun t => f' t - m / b * (1 - exp (- (b * t)))).
    assert (H : g 0 <= g t).
    { apply (increasing_of_derive g (fun t => f'' t - m * exp (- (b * t)))); [auto| |].
      - intros x. apply (is_derive_minus f' (fun t => m / b * (1 - exp (- (b * t))))); [apply Df'|].
        auto_derive; [trivial|field; lra].
      - intros x Hx. assert (H := curved x). lra. }
    unfold g in H. rewrite Rmult_0_r, Ropp_0, exp_0 in H. lra.
  Qed.

  (** f(t) >= f(0) + f'(0) t + (m / b^2) (e^(- b t) - 1 + b t) *)
  Lemma value_grows t : 0 <= t -> f 0 + f' 0 * t + m / b² * (exp (- (b * t)) - 1 + b * t) <= f t.
  Proof.
    intros t0. pose (g := fun t => f t - (f' 0 * t + m / b² * (exp (- (b * t)) - 1 + b * t))).
    assert (H : g 0 <= g t).
    { apply (increasing_of_derive g (fun t => f' t - (f' 0 + m / b * (1 - exp (- (b * t)))))); [auto| |].
      - intros x. apply (is_derive_minus f (fun t => f' 0 * t + m / b² * (exp (- (b * t)) - 1 + b * t))); [apply Df|].
        unfold Rsqr. auto_derive; [trivial|field; lra].
      - intros x Hx. assert (H := slope_grows x). lra. }
    unfold g in H. rewrite !Rmult_0_r, Ropp_0, exp_0 in H. lra.
  Qed.
End Scalar.

Lemma exp_le_mono x y : x <= y -> exp x <= exp y.
Proof. intros [l| ->]; [left; now apply exp_increasing|lra]. Qed.

(** e^(- x) - 1 + (1 - q) x is least where e^(- x) = 1 - q. *)
Lemma gap_least q x : q < 1 -> - (q + (1 - q) * ln (1 - q)) <= exp (- x) - 1 + (1 - q) * x.
Proof.
  intros q1. assert (H := exp_ineq1_le (- x - ln (1 - q))).
  assert (E : exp (- x) = (1 - q) * exp (- x - ln (1 - q))).
  { rewrite <- (exp_ln (1 - q)) at 1 by lra. rewrite <- exp_plus. f_equal. ring. }
  rewrite E. nra.
Qed.

(** ** In any norm *)

Section Nearby.
  Variable p : problem.
  Variable M : matrix -> Prop.       (* a space of directions that, with the kernel, spans everything *)
  Variable size : matrix -> R.       (* a norm on M *)
  Variables (W : matrix) (beta mu g : R).

  Hypothesis decomposes : forall V, exists K, kernel p K /\ M (minus V K).
  Hypothesis size_nonneg : forall U, 0 <= size U.
  Hypothesis beta_pos : 0 < beta.
  Hypothesis ranges : forall U, M U -> ranges_below p U (beta * size U).
  Hypothesis mu_pos : 0 < mu.
  Hypothesis curvature : forall U, M U -> mu * (size U)² <= hessian p W U U.
  Hypothesis slope : forall U, M U -> - (g * size U) <= inner p (gradient p W) U.

  (** q = beta |g| / mu *)
  Notation q := (beta * g / mu).

  Lemma g_of_q : g = q * mu / beta.
  Proof. field. lra. Qed.

  Lemma curvature_along U t : M U -> 0 <= t ->
    mu * (size U)² * exp (- (beta * size U * t)) <= hessian p (move W t U) U U.
  Proof.
    intros HU t0. apply Rle_trans with (2 := S8_Hessian_below p W U U (beta * size U) t (ranges U HU)).
    rewrite Rabs_pos_eq by auto. rewrite Rmult_comm. replace (t * (beta * size U)) with (beta * size U * t) by ring.
    apply Rmult_le_compat_l; [left; apply exp_pos|auto].
  Qed.

  (** phi'(t) >= (mu |U| / beta) (1 - q - e^(- beta |U| t)) *)
  Lemma slope_along U t : M U -> 0 < size U -> 0 <= t ->
    mu * size U / beta * (1 - q - exp (- (beta * size U * t))) <= inner p (gradient p (move W t U)) U.
  Proof.
    intros HU n0 t0.
    assert (b0 : 0 < beta * size U) by (apply Rmult_lt_0_compat; auto).
    assert (H := slope_grows (fun t => inner p (gradient p (move W t U)) U) (fun t => hessian p (move W t U) U U)
      (mu * (size U)²) (beta * size U) b0 (S4_second_derivative_along p W U U)
      (fun t => curvature_along U t HU) t t0). cbv beta in H.
    rewrite (inner_same p (gradient p (move W 0 U)) (gradient p W) U U) in H;
      [|intros c d Hc _; apply gradient_same; [apply same_move_0|auto]|intros c d _ _; reflexivity].
    apply Rle_trans with (2 := H). assert (sl := slope U HU).
    replace (mu * size U / beta * (1 - q - exp (- (beta * size U * t))))
      with (- (g * size U) + mu * (size U)² / (beta * size U) * (1 - exp (- (beta * size U * t)))); [lra|].
    unfold Rsqr. field. lra.
  Qed.

  (** phi(t) >= phi(0) + (mu / beta^2) (e^(- x) - 1 + (1 - q) x) with x = beta |U| t *)
  Lemma value_along U t : M U -> 0 < size U -> 0 <= t ->
    loss p W + mu / beta² * (exp (- (beta * size U * t)) - 1 + (1 - q) * (beta * size U * t)) <= loss p (move W t U).
  Proof.
    intros HU n0 t0.
    assert (b0 : 0 < beta * size U) by (apply Rmult_lt_0_compat; auto).
    assert (H := value_grows (fun t => loss p (move W t U)) (fun t => inner p (gradient p (move W t U)) U)
      (fun t => hessian p (move W t U) U U) (mu * (size U)²) (beta * size U) b0 (S2_gradient_along p W U)
      (S4_second_derivative_along p W U U) (fun t => curvature_along U t HU) t t0). cbv beta in H.
    rewrite (inner_same p (gradient p (move W 0 U)) (gradient p W) U U) in H;
      [|intros c d Hc _; apply gradient_same; [apply same_move_0|auto]|intros c d _ _; reflexivity].
    rewrite (loss_same p (move W 0 U) W) in H by apply same_move_0.
    apply Rle_trans with (2 := H). assert (sl := slope U HU).
    replace (loss p W + mu / beta² * (exp (- (beta * size U * t)) - 1 + (1 - q) * (beta * size U * t)))
      with (loss p W + - (g * size U) * t +
        mu * (size U)² / (beta * size U)² * (exp (- (beta * size U * t)) - 1 + beta * size U * t)); [nra|].
    unfold Rsqr. field. lra.
  Qed.

  Hypothesis g_nonneg : 0 <= g.
  Hypothesis q_small : q < 1.

  Lemma q_nonneg : 0 <= q.
  Proof.
    apply Rmult_le_pos; [apply Rmult_le_pos; lra|]. left. now apply Rinv_0_lt_compat.
  Qed.

  (** A direction of size 0 is in the kernel. *)
  Lemma size_zero U : M U -> size U = 0 -> kernel p U.
  Proof.
    intros HU z n Hn sn. exists (logit p U n 0). intros i Hi. assert (r := ranges U HU n Hn sn). rewrite z, Rmult_0_r in r.
    assert (Hc := classes_pos p). assert (H1 := r i 0%nat Hi Hc). assert (H2 := r 0%nat i Hc Hi). lra.
  Qed.

  (** q < 1: a minimiser exists. Along a recession direction outside the kernel the loss would not rise, but it does. *)
  Lemma nearby_attained : attained p.
  Proof.
    apply S9_existence. intros V dir. destruct (decomposes V) as [K [ker HU]]. set (U := minus V K) in *.
    destruct (Req_dec (size U) 0) as [z|nz].
    { assert (kU := size_zero U HU z). intros n Hn sn. destruct (kU n Hn sn) as [a Ha]. destruct (ker n Hn sn) as [b Hb].
      exists (a + b). intros i Hi. specialize (Ha i Hi). unfold U in Ha. rewrite logit_minus, Hb in Ha by auto. lra. }
    assert (n0 : 0 < size U) by (assert (H := size_nonneg U); lra). exfalso.
    set (t := / ((1 - q) * (beta * size U))).
    assert (b0 : 0 < beta * size U) by (apply Rmult_lt_0_compat; auto).
    assert (t0 : 0 < t) by (apply Rinv_0_lt_compat, Rmult_lt_0_compat; lra).
    assert (up := value_along U t HU n0 (Rlt_le _ _ t0)).
    replace ((1 - q) * (beta * size U * t)) with 1 in up by
      (unfold t; rewrite <- Rmult_assoc, Rinv_r; [reflexivity|apply Rgt_not_eq, Rmult_lt_0_compat; lra]).
    (* t U is a recession direction *)
    assert (down : loss p (move W t U) <= loss p W).
    { assert (dir' : recession_direction p (fun c d => t * U c d)).
      { intros n Hn sn i Hi ti j Hj. rewrite !logit_scale. apply Rmult_le_compat_l; [lra|].
        unfold U. rewrite !logit_minus. destruct (ker n Hn sn) as [b Hb]. rewrite !Hb by auto.
        assert (H := dir n Hn sn i Hi ti j Hj). lra. }
      apply Sum_le. intros n Hn. destruct (weight_nonneg p n Hn) as [sn|<-]; [|lra].
      apply Rmult_le_compat_l; [lra|].
      assert (H := sample_loss_le p W _ n dir' Hn sn). unfold target_mean in H.
      assert (E : forall i, logit p (move W 1 (fun c d => t * U c d)) n i = logit p (move W t U) n i)
        by (intros; rewrite !logit_move, logit_scale; ring).
      rewrite (lse_ext _ _ (logit p (move W t U) n)) in H by (intros; apply E).
      rewrite (Sum_ext _ (fun i => target p n i * logit p (move W 1 (fun c d => t * U c d)) n i)
        (fun i => target p n i * logit p (move W t U) n i)) in H by (intros; now rewrite E).
      exact H. }
    assert (e := exp_pos (- (beta * size U * t))).
    assert (c0 : 0 < mu / beta²) by (apply Rdiv_lt_0_compat; [auto|apply Rlt_0_sqr; lra]). nra.
  Qed.

  (** Some minimiser differs from W by a direction in M. *)
  Lemma nearby_minimiser : exists U, M U /\ minimiser p (move W 1 U).
  Proof.
    destruct nearby_attained as [W0 least]. destruct (decomposes (minus W0 W)) as [K [ker HU]].
    exists (minus (minus W0 W) K). split; auto. intros V. apply Rle_trans with (2 := least V). apply Req_le.
    rewrite <- (S6_loss_constant p (move W 1 (minus (minus W0 W) K)) K 1 ker). apply loss_same.
    intros c d _ _. unfold move, minus. ring.
  Qed.

  (** Every such minimiser lies within r = - log (1 - q) / beta. *)
  Theorem nearby_radius U : M U -> minimiser p (move W 1 U) -> size U <= - ln (1 - q) / beta.
  Proof.
    intros HU least. assert (q0 := q_nonneg).
    assert (l0 : ln (1 - q) <= 0) by (rewrite <- ln_1; apply ln_le; lra).
    destruct (Req_dec (size U) 0) as [->|nz].
    { apply Rmult_le_pos; [lra|]. left. now apply Rinv_0_lt_compat. }
    assert (n0 : 0 < size U) by (assert (H := size_nonneg U); lra).
    assert (H := slope_along U 1 HU n0 Rle_0_1).
    assert (z : inner p (gradient p (move W 1 U)) U = 0).
    { apply Sum_zero. intros c Hc. apply Sum_zero. intros d Hd.
      rewrite (gradient_at_minimiser p (move W 1 U)) by auto. ring. }
    rewrite z, Rmult_1_r in H.
    (* 1 - q <= e^(- beta |U|) *)
    assert (k0 : 0 < mu * size U / beta) by (apply Rdiv_lt_0_compat; [apply Rmult_lt_0_compat|]; auto).
    assert (le : 1 - q <= exp (- (beta * size U))) by nra.
    apply ln_le in le; [|lra]. rewrite ln_exp in le.
    apply Rmult_le_reg_l with beta; [auto|]. replace (beta * (- ln (1 - q) / beta)) with (- ln (1 - q)) by (field; lra). lra.
  Qed.

  (** L(W) - (mu / beta^2) (q + (1 - q) log (1 - q)) <= L(W') for every W'. *)
  Theorem nearby_gap W' : loss p W - mu / beta² * (q + (1 - q) * ln (1 - q)) <= loss p W'.
  Proof.
    destruct nearby_minimiser as [U [HU least]]. apply Rle_trans with (2 := least W').
    assert (c0 : 0 < mu / beta²) by (apply Rdiv_lt_0_compat; [auto|apply Rlt_0_sqr; lra]).
    destruct (Req_dec (size U) 0) as [z|nz].
    - rewrite (S6_loss_constant p W U 1 (size_zero U HU z)).
      assert (H := gap_least q 0 q_small). rewrite Ropp_0, exp_0 in H. nra.
    - assert (n0 : 0 < size U) by (assert (H := size_nonneg U); lra).
      assert (H := value_along U 1 HU n0 Rle_0_1). assert (H' := gap_least q (beta * size U * 1) q_small). nra.
  Qed.

  (** Within the radius no curvature is below 1 - q times that at W. *)
  Theorem nearby_curvature U V : M U -> size U <= - ln (1 - q) / beta ->
    (1 - q) * hessian p W V V <= hessian p (move W 1 U) V V.
  Proof.
    intros HU close. destruct (S8_self_concordance p W U V (beta * size U) (ranges U HU)) as [H _].
    apply Rle_trans with (2 := H). apply Rmult_le_compat_r; [apply S5_nonnegative|].
    rewrite <- (exp_ln (1 - q)) by lra. apply exp_le_mono.
    apply Rmult_le_compat_l with (r := beta) in close; [|lra].
    replace (beta * (- ln (1 - q) / beta)) with (- ln (1 - q)) in close by (field; lra). lra.
  Qed.
End Nearby.
