(** S16, one step of gradient descent: the loss falls, and no minimiser gets further away.
    Also S2 once more: the gradient is a derivative in the full (Frechet) sense. *)

From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Taylor Curvature.
Open Scope R_scope.

(** The loss lies below a parabola on its tangent: Taylor's formula with H <= Lambda. *)
Theorem S16_Taylor p Lambda W U :
  curvature_bound p Lambda ->
  loss p U <= loss p W + inner p (gradient p W) (minus U W) + Lambda / 2 * norm2 p (minus U W).
Proof.
  intros HL. set (V := minus U W).
  assert (H := Taylor_above (fun a => loss p (move W a V)) (fun a => inner p (gradient p (move W a V)) V)
    (fun a => hessian p (move W a V) V V) (Lambda * norm2 p V) (S2_gradient_along p W V)
    (S4_second_derivative_along p W V V) (fun a => S7a_curvature p Lambda (move W a V) V HL)).
  cbv beta in H.
  rewrite (loss_same p (move W 0 V) W), (loss_same p (move W 1 V) U) in H
    by (apply same_move_0 || apply same_move_minus).
  rewrite (inner_same p (gradient p (move W 0 V)) (gradient p W) V V) in H; [lra| |intros ? ? _ _; reflexivity].
  intros c d Hc _. apply gradient_same; [apply same_move_0|assumption].
Qed.

(** S2 as a Frechet derivative: |L(U) - L(W) - <gradient, U - W>| <= eps |U - W| for U near W. *)
Theorem S2_Frechet p W eps :
  0 < eps -> exists delta, 0 < delta /\ forall U, norm p (minus U W) < delta ->
  Rabs (loss p U - loss p W - inner p (gradient p W) (minus U W)) <= eps * norm p (minus U W).
Proof.
  intros Heps.
  set (B := crude_bound p). assert (HB : curvature_bound p B) by apply curvature_bound_exists.
  assert (HB0 : 0 <= B) by apply crude_bound_nonneg.
  exists (eps / (B + 1)). split; [apply Rdiv_lt_0_compat; lra|]. intros U HU.
  assert (Hlow := loss_above_tangent p W U). assert (Hup := S16_Taylor p B W U HB).
  assert (Hn0 : 0 <= norm p (minus U W)) by apply sqrt_pos.
  rewrite <- norm_sqr in Hup. unfold Rsqr in Hup. set (r := norm p (minus U W)) in *.
  assert (B * r <= eps).
  { apply Rle_trans with (B * (eps / (B + 1))); [apply Rmult_le_compat_l; lra|].
    apply Rmult_le_reg_r with (B + 1); [lra|]. field_simplify; nra. }
  rewrite Rabs_pos_eq by lra. nra.
Qed.

(** One step of gradient descent. *)
Definition step p (eta : R) (W : matrix) : matrix := move W (- eta) (gradient p W).

Lemma inner_step p eta W A : inner p A (minus (step p eta W) W) = - eta * inner p A (gradient p W).
Proof. unfold step. rewrite inner_minus_r, inner_move_r. ring. Qed.

(** L(W - eta g) <= L(W) - eta (1 - eta Lambda / 2) |g|^2, for any eta *)
Theorem S16_step p Lambda eta W :
  curvature_bound p Lambda ->
  loss p (step p eta W) <= loss p W - eta * (1 - eta * Lambda / 2) * norm2 p (gradient p W).
Proof.
  intros HL. assert (H := S16_Taylor p Lambda W (step p eta W) HL).
  assert (E : norm2 p (minus (step p eta W) W) = eta * eta * norm2 p (gradient p W)).
  { unfold norm2. rewrite inner_step, inner_comm, inner_step. ring. }
  rewrite E, inner_step in H. fold (norm2 p (gradient p W)) in H. lra.
Qed.

(** With eta <= 1 / Lambda: L(W - eta g) <= L(W) - (eta / 2) |g|^2. *)
Theorem S16_descent p Lambda eta W :
  curvature_bound p Lambda -> 0 <= eta -> eta * Lambda <= 1 ->
  loss p (step p eta W) <= loss p W - eta / 2 * norm2 p (gradient p W).
Proof.
  intros HL H0 H1. eapply Rle_trans; [now apply S16_step|].
  assert (Hg := norm2_nonneg p (gradient p W)). assert (0 <= eta * (1 - eta * Lambda)) by (apply Rmult_le_pos; lra).
  nra.
Qed.

(** W minimises the loss exactly where the gradient vanishes. *)
Theorem stationary_iff_minimiser p W : norm2 p (gradient p W) = 0 <-> minimiser p W.
Proof.
  split.
  - intros H U. assert (HT := loss_above_tangent p W U).
    assert (Hc := inner_Cauchy_Schwarz p (gradient p W) (minus U W)). rewrite H, Rmult_0_l in Hc.
    assert (E : inner p (gradient p W) (minus U W) = 0).
    { apply Rsqr_0_uniq, Rle_antisym; [assumption|apply Rle_0_sqr]. }
    lra.
  - intros HW. apply Rle_antisym; [|apply norm2_nonneg].
    (* a short step would lower the loss *)
    set (B := crude_bound p). assert (HB : curvature_bound p B) by apply curvature_bound_exists.
    assert (HB0 : 0 <= B) by apply crude_bound_nonneg.
    assert (Hpos : 0 < / (B + 1)) by (apply Rinv_0_lt_compat; lra).
    assert (H := S16_descent p B (/ (B + 1)) W HB (Rlt_le _ _ Hpos)).
    assert (H1 : / (B + 1) * B <= 1).
    { apply Rmult_le_reg_l with (B + 1); [lra|]. rewrite <- Rmult_assoc, Rinv_r; lra. }
    specialize (H H1). specialize (HW (step p (/ (B + 1)) W)).
    set (g := norm2 p (gradient p W)) in *. nra.
Qed.

(** The distance to any U: |W' - U|^2 <= |W - U|^2 - 2 eta (L(W) - L(U)) + eta^2 |g|^2, from convexity. *)
Lemma distance_after_step p eta W U :
  0 <= eta ->
  norm2 p (minus (step p eta W) U) <=
  norm2 p (minus W U) - 2 * eta * (loss p W - loss p U) + eta² * norm2 p (gradient p W).
Proof.
  intros Heta. assert (HT := loss_above_tangent p W U).
  assert (E : norm2 p (minus (step p eta W) U) =
    norm2 p (minus W U) + 2 * eta * inner p (gradient p W) (minus U W) + eta² * norm2 p (gradient p W)).
  { unfold norm2, step. repeat rewrite ?inner_minus_r, ?inner_minus_l, ?inner_move_r, ?inner_move_l.
    rewrite (inner_comm p (gradient p W) W), (inner_comm p U W), (inner_comm p (gradient p W) U).
    unfold Rsqr. ring. }
  rewrite E. nra.
Qed.

(** The gradient is cocoercive about a minimiser M: <g, W - M> >= 2 (a - Lambda a^2 / 2) |g|^2 for every a.
    (The best a is 1 / Lambda, with |g|^2 / Lambda on the right.)

    The tangent at W lies below the loss at M + a g, and that point is only Lambda a^2 |g|^2 / 2 above the minimum. *)
Lemma cocoercive p Lambda W M a :
  curvature_bound p Lambda -> minimiser p M ->
  (2 * a - Lambda * a²) * norm2 p (gradient p W) <= inner p (gradient p W) (minus W M).
Proof.
  intros HL HM. set (g := gradient p W).
  assert (Hdown := S16_step p Lambda a W HL).
  assert (Hmin := HM (step p a W)).
  assert (Htangent := loss_above_tangent p W (move M a g)).
  assert (Hup := S16_Taylor p Lambda M (move M a g) HL).
  assert (H0 : inner p (gradient p M) (minus (move M a g) M) = 0).
  { apply Rsqr_0_uniq, Rle_antisym; [|apply Rle_0_sqr].
    eapply Rle_trans; [apply inner_Cauchy_Schwarz|].
    rewrite (proj2 (stationary_iff_minimiser p M) HM). lra. }
  assert (H1 : norm2 p (minus (move M a g) M) = a² * norm2 p g).
  { unfold norm2. repeat rewrite ?inner_minus_r, ?inner_minus_l, ?inner_move_r, ?inner_move_l.
    rewrite (inner_comm p g M). unfold Rsqr. ring. }
  rewrite H0, H1 in Hup. fold g in Hdown, Htangent.
  rewrite inner_minus_r, inner_move_r in Htangent. fold (norm2 p g) in Htangent.
  rewrite inner_minus_r. unfold Rsqr in *. lra.
Qed.

Theorem S16_cocoercive p Lambda W M :
  0 < Lambda -> curvature_bound p Lambda -> minimiser p M ->
  norm2 p (gradient p W) / Lambda <= inner p (gradient p W) (minus W M).
Proof.
  intros H0 HL HM. assert (H := cocoercive p Lambda W M (/ Lambda) HL HM).
  replace ((2 * / Lambda - Lambda * (/ Lambda)²) * norm2 p (gradient p W))
    with (norm2 p (gradient p W) / Lambda) in H by (unfold Rsqr; field; lra).
  exact H.
Qed.

(** With 0 < eta < 2 / Lambda no step leads away from a minimiser. *)
Theorem S16_distance_never_grows p Lambda eta W M :
  curvature_bound p Lambda -> minimiser p M -> 0 < eta -> eta * Lambda < 2 ->
  norm2 p (minus (step p eta W) M) <= norm2 p (minus W M).
Proof.
  intros HL HM H0 H2. assert (H := cocoercive p Lambda W M (eta / 2) HL HM).
  assert (E : norm2 p (minus (step p eta W) M) =
    norm2 p (minus W M) - 2 * eta * inner p (gradient p W) (minus W M) + eta² * norm2 p (gradient p W)).
  { unfold norm2, step. repeat rewrite ?inner_minus_r, ?inner_minus_l, ?inner_move_r, ?inner_move_l.
    rewrite (inner_comm p (gradient p W) W), (inner_comm p M W), (inner_comm p (gradient p W) M).
    unfold Rsqr. ring. }
  rewrite E. assert (Hg := norm2_nonneg p (gradient p W)). set (g := norm2 p (gradient p W)) in *.
  (* 2 eta <g, W - M> >= 2 eta^2 (1 - eta Lambda / 4) |g|^2 >= eta^2 |g|^2 *)
  assert (2 * eta * ((2 * (eta / 2) - Lambda * (eta / 2)²) * g) <= 2 * eta * inner p (gradient p W) (minus W M))
    by (apply Rmult_le_compat_l; lra).
  assert (0 <= eta * eta * g * (1 - eta * Lambda / 2)).
  { apply Rmult_le_pos; [apply Rmult_le_pos; nra|lra]. }
  unfold Rsqr in *. nra.
Qed.
