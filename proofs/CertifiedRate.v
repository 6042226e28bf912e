(** * S17, the certificate's version: gradient descent from a certified point contracts by a certified factor *)

From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Curvature Descent Convergence SelfConcordance Rates Nearby Minimum
  CertifiedMinimum.
Open Scope R_scope.

Section Rate.
  Variable p : problem.
  (** The certified point, its minimiser, and what is known of them. *)
  Variables (W M : matrix) (q mu Lambda beta distance : R).
  Hypothesis least : minimiser p M.
  Hypothesis in_complement : complement p (minus M W).
  Hypothesis q_small : q <= 1.
  Hypothesis ball : forall V, (1 - q) * hessian p W V V <= hessian p M V V.   (* S13 *)
  Hypothesis mu_nonneg : 0 <= mu.
  Hypothesis curvature : forall U, complement p U -> mu * norm2 p U <= hessian p W U U.
  Hypothesis Lambda_pos : 0 < Lambda.
  Hypothesis bound : curvature_bound p Lambda.                                 (* S7a *)
  Hypothesis beta_nonneg : 0 <= beta.
  Hypothesis beta_large : forall n, (n < samples p)%nat -> 0 < weight p n -> 2 * dot (features p) (input p n) (input p n) <= beta².
  Hypothesis near : norm p (minus W M) <= distance.

  Notation iterate := (descent p (/ Lambda) W).

  Lemma iterates_in_complement k : complement p (minus (iterate k) M).
  Proof.
    intros K ker. assert (H := in_complement K ker). rewrite inner_minus_l in *. induction k as [|k IH]; simpl; [lra|].
    unfold step. rewrite inner_move_l, (S6_gradient_orthogonal p _ K ker). lra.
  Qed.

  (** Descent never leads away from M. *)
  Lemma iterates_near k : norm p (minus (iterate k) M) <= distance.
  Proof.
    induction k as [|k IH]; [exact near|]. apply Rle_trans with (2 := IH). apply sqrt_le_1_alt.
    apply (S16_distance_never_grows p Lambda); auto; [now apply Rinv_0_lt_compat|]. rewrite Rinv_l; lra.
  Qed.

  (** Each step 1 / Lambda multiplies the distance to M by 1 - e^(- rho) (1 - q) mu / Lambda or less, rho = beta distance. *)
  Theorem S17_certificate k :
    norm p (minus (iterate (S k)) M)
      <= (1 - exp (- (beta * distance)) * (1 - q) * mu / Lambda) * norm p (minus (iterate k) M).
  Proof.
    set (V := minus (iterate k) M). set (mu' := exp (- (beta * distance)) * (1 - q) * mu).
    assert (HV := iterates_in_complement k : complement p V).
    assert (d0 : 0 <= distance) by (apply Rle_trans with (2 := near), sqrt_pos).
    (* the curvature between M and the iterate lies between mu' and Lambda *)
    assert (between : forall t U, 0 <= t <= 1 -> complement p U ->
      mu' * norm2 p U <= hessian p (move M t V) U U <= Lambda * norm2 p U).
    { intros t U Ht HU. split; [|now apply S7a_curvature].
      assert (r := S8_range_below_norm p V beta beta_nonneg beta_large).
      apply Rle_trans with (2 := S8_Hessian_below p M V U _ t r). rewrite Rabs_pos_eq by lra.
      assert (h0 := S5_nonnegative p M U).
      apply Rle_trans with (exp (- (beta * distance)) * hessian p M U U).
      - unfold mu'. rewrite !Rmult_assoc. apply Rmult_le_compat_l; [left; apply exp_pos|].
        apply Rle_trans with (2 := ball U). apply Rmult_le_compat_l; [lra|auto].
      - apply Rmult_le_compat_r; [auto|]. apply exp_le_mono. apply Ropp_le_contravar.
        assert (H := iterates_near k). fold V in H. assert (n0 : 0 <= norm p V) by apply sqrt_pos.
        apply Rle_trans with (1 * (beta * norm p V)); [apply Rmult_le_compat_r; [nra|lra]|nra]. }
    assert (H := S17_contraction p mu' Lambda (/ Lambda) (Rabs (1 - / Lambda * mu')) (Rle_refl _)).
    assert (e1 : Rabs (1 - / Lambda * Lambda) <= Rabs (1 - / Lambda * mu')).
    { rewrite Rinv_l, Rminus_eq_0, Rabs_R0 by lra. apply Rabs_pos. }
    specialize (H e1 (Rlt_le _ _ (Rinv_0_lt_compat _ Lambda_pos)) M least (iterate k) HV between).
    change (step p (/ Lambda) (iterate k)) with (iterate (S k)) in H. fold V in H.
    replace (1 - mu' / Lambda) with (1 - / Lambda * mu') by (field; lra).
    destruct (Req_dec (norm2 p V) 0) as [z|nz].
    - assert (zero : norm p V = 0) by (unfold norm; now rewrite z, sqrt_0).
      rewrite zero in *. lra.
    - assert (n0 := norm2_nonneg p V). destruct (between 0 V) as [lo hi]; [lra|auto|].
      assert (le : mu' <= Lambda) by nra.
      rewrite Rabs_pos_eq in H; [exact H|].
      assert (/ Lambda * mu' <= / Lambda * Lambda) by (apply Rmult_le_compat_l; [left; now apply Rinv_0_lt_compat|auto]).
      rewrite Rinv_l in * by lra. lra.
  Qed.
End Rate.

(** The theorem in the plain norm: S13's hypotheses at W, and a step 1 / Lambda. *)
Theorem S17_certificate_plain p W beta mu Lambda :
  0 < beta ->
  (forall n, (n < samples p)%nat -> 0 < weight p n -> 2 * dot (features p) (input p n) (input p n) <= beta²) ->
  0 < mu -> (forall U, complement p U -> mu * norm2 p U <= hessian p W U U) ->
  let q := beta * norm p (gradient p W) / mu in q < 1 -> 0 < Lambda -> curvature_bound p Lambda ->
  exists M, minimiser p M /\ norm p (minus W M) <= - ln (1 - q) / beta /\
    forall k, norm p (minus (descent p (/ Lambda) W (S k)) M) <=
      (1 - exp (- (beta * norm p (minus W M))) * (1 - q) * mu / Lambda) * norm p (minus (descent p (/ Lambda) W k) M).
Proof.
  intros b0 large mu0 cur q q1 L0 bound.
  destruct (S13 p W beta mu b0 large mu0 cur q1) as [M [least [HM [radius _]]]]. fold q in radius.
  assert (flip : norm p (minus W M) = norm p (minus M W)).
  { unfold norm, norm2. f_equal. rewrite !inner_minus_l, !inner_minus_r. ring. }
  exists M. split; [auto|]. split; [now rewrite flip|].
  intros k. apply (S17_certificate p W M q mu Lambda beta (norm p (minus W M))); auto; try lra.
  intros V. assert (H := S13_curvature_in_ball p W beta mu b0 large q1 (minus M W) V radius).
  rewrite (hessian_same p (move W 1 (minus M W)) M) in H by apply same_move_minus. exact H.
Qed.
