(** S8 along a path of penalties: a curvature evaluated once serves the next penalties. *)

From Coq Require Import Reals Lra.
From Softmax Require Import Sums Problem Curvature SelfConcordance.
Open Scope R_scope.

(** H_old = H(W) + old and H_new = H(W + V) + new, with the forms old and new of the penalties' Hessians.
    If new >= r old >= 0 and r <= 1, then H_new >= r e^(-rho) H_old. For L2 penalties these forms are sums of strengths
    times squares, so r is the factor by which the strengths fall at most. *)
Theorem S8_path p W V U rho r old new :
  ranges_below p V rho -> 0 <= rho -> 0 <= r <= 1 -> 0 <= old -> r * old <= new ->
  r * exp (- rho) * (hessian p W U U + old) <= hessian p (move W 1 V) U U + new.
Proof.
  intros Hrho Hrho0 Hr Hold Hnew. destruct (S8_self_concordance p W V U rho Hrho) as [H _].
  assert (H0 := S5_nonnegative p W U). assert (He := exp_pos (- rho)).
  assert (He1 : exp (- rho) <= 1) by (rewrite <- exp_0; destruct Hrho0 as [Hp| <-];
    [left; apply exp_increasing; lra|rewrite Ropp_0; lra]).
  assert (H1 : r * (exp (- rho) * hessian p W U U) <= 1 * (exp (- rho) * hessian p W U U)).
  { apply Rmult_le_compat_r; [apply Rmult_le_pos; lra|lra]. }
  assert (H2 : exp (- rho) * (r * old) <= 1 * (r * old)).
  { apply Rmult_le_compat_r; [apply Rmult_le_pos; lra|lra]. }
  lra.
Qed.

(** The form of an L2 penalty with the strengths alpha_d, one for each feature. *)
Definition penalty p (alpha : nat -> R) (U : matrix) : R :=
  Sum (classes p) (fun c => Sum (features p) (fun d => alpha d * (U c d)²)).

Theorem S8_path_L2 p W V U rho r alpha alpha' :
  ranges_below p V rho -> 0 <= rho -> 0 <= r <= 1 ->
  (forall d, (d < features p)%nat -> 0 <= alpha d /\ r * alpha d <= alpha' d) ->
  r * exp (- rho) * (hessian p W U U + penalty p alpha U) <= hessian p (move W 1 V) U U + penalty p alpha' U.
Proof.
  intros Hrho Hrho0 Hr H. apply S8_path; auto.
  - apply Sum_nonneg. intros c Hc. apply Sum_nonneg. intros d Hd. apply Rmult_le_pos; [now apply H|apply Rle_0_sqr].
  - unfold penalty. rewrite <- Sum_scal. apply Sum_le. intros c Hc. rewrite <- Sum_scal. apply Sum_le. intros d Hd.
    destruct (H d Hd) as [_ H']. assert (H2 := Rle_0_sqr (U c d)). nra.
Qed.
