(** * S13's bounds cannot be improved (docs/theory.md, S13, "Sharp")

    Two classes, one sample x = 1, the logit difference zeta at W and zeta + Delta at the minimiser. With x = e^(- zeta) and
    K = e^Delta, as x tends to 0: - log (1 - q) tends to Delta, and the gap and its bound, over x, to the same number
    1 - (1 + Delta) / K > 0. *)

From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Curvature Descent Condition.
Open Scope R_scope.

(** ** The functions of x *)

Section Functions.
  Variable Delta : R.
  Hypothesis Delta_pos : 0 < Delta.
  Notation K := (exp Delta).

  (** q, the bound of the gap over mu / beta^2 = x / (1 + x)^2, and the gap *)
  Definition q_of (x : R) : R := (K - 1) * (1 + x) / (x + K).
  Definition bound_of (x : R) : R := (q_of x + (1 - q_of x) * ln (1 - q_of x)) / (1 + x)².
  Definition gap_of (x : R) : R := ln (1 + x) - ln (1 + x / K) - Delta * (x / K) / (1 + x / K).

  Lemma K_large : 1 + Delta < K.
  Proof. apply exp_ineq1. lra. Qed.

  Lemma one_minus_q x : 0 <= x -> 1 - q_of x = (1 + 2 * x - K * x) / (x + K).
  Proof. intros x0. assert (k := K_large). unfold q_of. field. lra. Qed.

  Lemma one_minus_q_0 : 1 - q_of 0 = / K.
  Proof. assert (k := K_large). rewrite one_minus_q by lra. field. lra. Qed.

  (** What a function that is continuous at 0 does near 0. *)
  Lemma near_0 (f : R -> R) eps : ex_derive f 0 -> 0 < eps ->
    exists d, 0 < d /\ forall x, 0 < x < d -> Rabs (f x - f 0) < eps.
  Proof.
    intros D e0. assert (c := ex_derive_continuous f 0 D). apply continuity_pt_filterlim in c.
    destruct (c eps e0) as [d [d0 H]]. exists d. split; [exact d0|]. intros x Hx.
    apply (H x). split; [split; [exact I|lra]|]. simpl. unfold R_dist. rewrite Rminus_0_r, Rabs_pos_eq; lra.
  Qed.

  Lemma ex_derive_log_q : ex_derive (fun x => ln (1 - q_of x)) 0.
  Proof.
    assert (k := K_large). unfold q_of. auto_derive. repeat split; [lra|].
    assert (H := one_minus_q_0). unfold q_of in H.
    replace (1 + - ((K - 1) * (1 + 0) * / (0 + K))) with (1 - (K - 1) * (1 + 0) / (0 + K)) by (unfold Rdiv; ring).
    rewrite H. apply Rinv_0_lt_compat. lra.
  Qed.

  Lemma ex_derive_bound : ex_derive bound_of 0.
  Proof.
    assert (k := K_large). unfold bound_of, q_of, Rsqr. auto_derive. repeat split; try lra.
    assert (H := one_minus_q_0). unfold q_of in H.
    replace (1 + - ((K - 1) * (1 + 0) * / (0 + K))) with (1 - (K - 1) * (1 + 0) / (0 + K)) by (unfold Rdiv; ring).
    rewrite H. apply Rinv_0_lt_compat. lra.
  Qed.

  (** The common limit. *)
  Definition level : R := 1 - (1 + Delta) / K.

  Lemma level_pos : 0 < level.
  Proof.
    assert (k := K_large). unfold level. apply Rmult_lt_reg_r with K; [lra|]. field_simplify; lra.
  Qed.

  Lemma bound_at_0 : bound_of 0 = level.
  Proof.
    assert (k := K_large). unfold bound_of. rewrite one_minus_q_0, ln_Rinv, ln_exp by lra.
    replace (q_of 0) with (1 - / K) by (assert (H := one_minus_q_0); lra).
    unfold level, Rsqr. field. lra.
  Qed.

  Lemma gap_derivative : is_derive gap_of 0 level.
  Proof.
    assert (k := K_large). unfold gap_of, level. auto_derive.
    - repeat split; rewrite ?Rmult_0_l; lra.
    - field. lra.
  Qed.

  (** Near 0: - log (1 - q) <= Delta + eps, and the gap is at least (1 - eps) times its bound. *)
  Lemma functions_near_0 eps : 0 < eps < 1 -> exists x, 0 < x < 1 /\ q_of x < 1 /\ - ln (1 - q_of x) <= Delta + eps /\
    (1 - eps) * (x * bound_of x) <= gap_of x.
  Proof.
    intros [e0 e1]. assert (k := K_large). assert (l0 := level_pos).
    set (eta := level * eps / 2). assert (eta0 : 0 < eta) by (unfold eta; apply Rdiv_lt_0_compat; [apply Rmult_lt_0_compat|]; lra).
    destruct (near_0 _ eps ex_derive_log_q e0) as [d1 [d10 H1]].
    destruct (near_0 _ eta ex_derive_bound eta0) as [d2 [d20 H2]].
    destruct (proj1 (is_derive_Reals _ _ _) gap_derivative eta eta0) as [d3 H3].
    assert (d30 := cond_pos d3).
    set (x := Rmin (Rmin d1 d2) (Rmin d3 (/ K)) / 2).
    assert (i0 : 0 < / K) by (apply Rinv_0_lt_compat; lra).
    assert (m0 : 0 < Rmin (Rmin d1 d2) (Rmin d3 (/ K))) by (repeat apply Rmin_glb_lt; auto).
    assert (x0 : 0 < x) by (unfold x; lra).
    assert (a := Rmin_l (Rmin d1 d2) (Rmin d3 (/ K))). assert (b := Rmin_r (Rmin d1 d2) (Rmin d3 (/ K))).
    assert (a1 := Rmin_l d1 d2). assert (a2 := Rmin_r d1 d2). assert (b1 := Rmin_l d3 (/ K)). assert (b2 := Rmin_r d3 (/ K)).
    assert (x1 : x < d1 /\ x < d2 /\ x < d3 /\ x < / K) by (unfold x; repeat split; lra).
    destruct x1 as [xd1 [xd2 [xd3 xk]]].
    assert (Kx : K * x < 1).
    { apply Rmult_lt_compat_l with (r := K) in xk; [|lra]. rewrite Rinv_r in xk by lra. exact xk. }
    assert (i1 : / K < 1) by (rewrite <- Rinv_1; apply Rinv_lt_contravar; lra).
    exists x. split; [lra|]. split; [|split].
    - enough (0 < 1 - q_of x) by lra. rewrite one_minus_q by lra. apply Rdiv_lt_0_compat; lra.
    - assert (H := H1 x (conj x0 xd1)). rewrite one_minus_q_0, ln_Rinv, ln_exp in H by lra. apply Rabs_def2 in H. lra.
    - assert (A := H3 x (Rgt_not_eq _ _ x0)). rewrite (Rabs_pos_eq x) in A by lra. specialize (A xd3).
      assert (z : gap_of 0 = 0).
      { unfold gap_of. replace (0 / K) with 0 by (field; lra). rewrite Rplus_0_r, ln_1. unfold Rdiv. ring. }
      rewrite Rplus_0_l, z, Rminus_0_r in A. apply Rabs_def2 in A. destruct A as [_ A].
      assert (B := H2 x (conj x0 xd2)). rewrite bound_at_0 in B. apply Rabs_def2 in B. destruct B as [B _].
      (* gap >= (level - eta) x and bound <= level + eta *)
      assert (G : (level - eta) * x <= gap_of x).
      { apply Rmult_lt_compat_r with (r := x) in A; [|auto]. unfold Rdiv in A.
        replace ((gap_of x * / x - level) * x) with (gap_of x - level * x) in A by (field; lra). lra. }
      apply Rle_trans with (2 := G).
      apply Rle_trans with ((1 - eps) * (x * (level + eta))).
      + apply Rmult_le_compat_l; [lra|]. apply Rmult_le_compat_l; lra.
      + assert ((1 - eps) * (level + eta) <= level - eta) by (unfold eta; nra). nra.
  Qed.
End Functions.

(** ** The problem *)

Section Sharp.
  Variables (Delta x : R).
  Hypothesis Delta_pos : 0 < Delta.
  Hypothesis x_pos : 0 < x.
  Notation K := (exp Delta).

  (** zeta = - log x; t_0 = 1 / (1 + e^(- (zeta + Delta))) = 1 / (1 + x / K) *)
  Definition zeta : R := - ln x.
  Definition t0 : R := / (1 + x / K).

  Lemma ratio_pos : 0 < x / K.
  Proof. apply Rdiv_lt_0_compat; [auto|apply exp_pos]. Qed.

  Lemma t0_between : 0 < t0 < 1.
  Proof.
    assert (r := ratio_pos). unfold t0. split; [apply Rinv_0_lt_compat; lra|].
    rewrite <- Rinv_1 at 2. apply Rinv_lt_contravar; lra.
  Qed.

  Definition target_of (i : nat) : R := match i with O => t0 | _ => 1 - t0 end.

  Lemma target_of_nonneg (i : nat) : 0 <= target_of i.
  Proof. assert (b := t0_between). destruct i; simpl; lra. Qed.

  Lemma target_of_sum : Sum 2 target_of = 1.
  Proof. simpl. ring. Qed.

  Definition one_sample : problem :=
    {| samples := 1; classes := 2; features := 1; input := fun _ _ => 1; target := fun _ i => target_of i;
       weight := fun _ => 1; classes_pos := Nat.lt_0_succ 1; weight_nonneg := fun _ _ => Rle_0_1;
       target_nonneg := fun _ i _ _ => target_of_nonneg i; target_sum := fun _ _ => target_of_sum |}.

  (** The weights with the logit difference a. *)
  Definition at_difference (a : R) : matrix := fun c _ => match c with O => a / 2 | _ => - (a / 2) end.

  Lemma logit_at a n i : logit one_sample (at_difference a) n i = at_difference a i 0%nat.
  Proof. unfold logit. simpl. ring. Qed.

  (** y_0 = 1 / (1 + e^(- a)), y_1 = e^(- a) / (1 + e^(- a)) *)
  Lemma prob_at a n : prob one_sample (at_difference a) n 0 = / (1 + exp (- a)) /\
    prob one_sample (at_difference a) n 1 = exp (- a) / (1 + exp (- a)).
  Proof.
    unfold prob, softmax. simpl Sum. rewrite !logit_at. simpl.
    assert (E : exp (- (a / 2)) = exp (a / 2) * exp (- a)) by (rewrite <- exp_plus; f_equal; field).
    rewrite E. assert (p1 := exp_pos (a / 2)). assert (p2 := exp_pos (- a)). split; field; split; nra.
  Qed.

  (** L = a / 2 + log (1 + e^(- a)) - (2 t_0 - 1) a / 2 *)
  Lemma loss_at a : loss one_sample (at_difference a) = ln (1 + exp (- a)) + (1 - t0) * a.
  Proof.
    unfold loss, lse. simpl. rewrite !logit_at. simpl.
    assert (p1 := exp_pos (a / 2)). assert (p2 := exp_pos (- a)).
    replace (0 + exp (a / 2) + exp (- (a / 2))) with (exp (a / 2) * (1 + exp (- a))).
    - rewrite ln_mult, ln_exp by lra. field.
    - rewrite Rmult_plus_distr_l, <- exp_plus. replace (a / 2 + - a) with (- (a / 2)) by field. ring.
  Qed.

  Lemma norm2_at a b : norm2 one_sample (minus (at_difference a) (at_difference b)) = (a - b)² / 2.
  Proof. unfold norm2, inner, minus, Rsqr. simpl. field. Qed.

  Lemma exp_zeta : exp (- zeta) = x /\ exp (- (zeta + Delta)) = x / K.
  Proof.
    unfold zeta. rewrite Ropp_involutive, exp_ln by auto. split; auto.
    replace (- (- ln x + Delta)) with (ln x + - Delta) by ring. rewrite exp_plus, exp_ln, exp_Ropp by auto. reflexivity.
  Qed.

  Notation W := (at_difference zeta).
  Notation M := (at_difference (zeta + Delta)).

  (** M is the minimiser: there y = t. *)
  Lemma M_minimises : minimiser one_sample M.
  Proof.
    apply stationary_iff_minimiser. destruct exp_zeta as [_ E]. destruct (prob_at (zeta + Delta) 0) as [P0 P1].
    rewrite E in P0, P1. assert (r := ratio_pos). unfold norm2, inner, gradient. simpl. rewrite P0, P1.
    unfold t0. field. assert (e := exp_pos Delta). split; nra.
  Qed.

  Definition mu_at : R := 2 * (x / (1 + x)²).

  Lemma curvature_at U : complement one_sample U -> mu_at * norm2 one_sample U <= hessian one_sample W U U.
  Proof.
    intros HU. assert (zero : U 0%nat 0%nat + U 1%nat 0%nat = 0).
    { rewrite <- (HU (fun _ _ => 1)).
      - unfold inner. simpl. ring.
      - intros n _ _. exists 1. intros. unfold logit. simpl. ring. }
    unfold hessian. simpl Sum. simpl weight. simpl classes.
    rewrite S7d_covariance by (apply (prob_distribution one_sample)).
    destruct (prob_at zeta 0) as [P0 P1]. destruct exp_zeta as [E _]. rewrite E in P0, P1. rewrite P0, P1.
    unfold logit, norm2, inner, mu_at, Rsqr. simpl. replace (U 1%nat 0%nat) with (- U 0%nat 0%nat) by lra.
    right. field. lra.
  Qed.

  Lemma q_at : sqrt 2 * norm one_sample (gradient one_sample W) / mu_at = q_of Delta x.
  Proof.
    assert (k := K_large Delta Delta_pos). assert (r := ratio_pos).
    destruct (prob_at zeta 0) as [P0 P1]. destruct exp_zeta as [E _]. rewrite E in P0, P1.
    (* |gradient|^2 = 2 (t_0 - y_0)^2 *)
    assert (N : norm one_sample (gradient one_sample W) = sqrt 2 * (t0 - / (1 + x))).
    { assert (le : 0 <= t0 - / (1 + x)).
      { assert (/ (1 + x) <= t0); [|lra]. apply Rinv_le_contravar; [lra|].
        assert (x / K <= x / 1); [|lra]. apply Rmult_le_compat_l; [lra|]. apply Rinv_le_contravar; lra. }
      assert (n2 : norm2 one_sample (gradient one_sample W) = 2 * (t0 - / (1 + x))²).
      { unfold norm2, inner, gradient. simpl. rewrite P0, P1. unfold Rsqr. field. lra. }
      unfold norm. rewrite n2, sqrt_mult, sqrt_Rsqr by (try apply Rle_0_sqr; lra). reflexivity. }
    rewrite N. replace (sqrt 2 * (sqrt 2 * (t0 - / (1 + x)))) with (2 * (t0 - / (1 + x))).
    - unfold q_of, mu_at, t0, Rsqr. field. repeat split; lra.
    - rewrite <- Rmult_assoc, sqrt_sqrt by lra. reflexivity.
  Qed.

  Lemma distance_at : norm one_sample (minus M W) = Delta / sqrt 2.
  Proof.
    unfold norm. rewrite norm2_at. replace (zeta + Delta - zeta) with Delta by ring.
    rewrite sqrt_div_alt, sqrt_Rsqr by lra. reflexivity.
  Qed.

  Lemma gap_at : loss one_sample W - loss one_sample M = gap_of Delta x.
  Proof.
    rewrite !loss_at. destruct exp_zeta as [E1 E2]. rewrite E1, E2. unfold gap_of, t0.
    assert (r := ratio_pos). assert (e := exp_pos Delta). field. split; nra.
  Qed.
End Sharp.

(** Neither bound of S13 can be improved: there are problems that satisfy its hypotheses with q < 1, with any
    given beta |W* - W| = Delta > 0, in which the radius exceeds the distance by less than eps, and the gap is at least
    (1 - eps) times its bound. *)
Theorem S13_sharp Delta eps : 0 < Delta -> 0 < eps < 1 -> exists p W M beta mu,
  0 < beta /\
  (forall n, (n < samples p)%nat -> 0 < weight p n -> 2 * dot (features p) (input p n) (input p n) <= beta²) /\
  0 < mu /\ (forall U, complement p U -> mu * norm2 p U <= hessian p W U U) /\
  let q := beta * norm p (gradient p W) / mu in
  q < 1 /\ minimiser p M /\ complement p (minus M W) /\
  beta * norm p (minus M W) = Delta /\ - ln (1 - q) / beta <= norm p (minus M W) + eps /\
  (1 - eps) * (mu / beta² * (q + (1 - q) * ln (1 - q))) <= loss p W - loss p M.
Proof.
  intros D0 e. destruct (functions_near_0 Delta D0 eps e) as [x [[x0 x1] [q1 [rad gap]]]].
  assert (s0 : 0 < sqrt 2) by (apply sqrt_lt_R0; lra).
  assert (s1 : 1 <= sqrt 2) by (rewrite <- sqrt_1; apply sqrt_le_1_alt; lra).
  exists (one_sample Delta x x0), (at_difference (zeta x)), (at_difference (zeta x + Delta)), (sqrt 2), (mu_at x).
  split; [auto|]. split; [|split; [|split]].
  - intros n _ _. rewrite Rsqr_sqrt by lra. unfold dot. simpl. lra.
  - unfold mu_at. assert (0 < x / (1 + x)²) by (apply Rdiv_lt_0_compat; [auto|apply Rlt_0_sqr; lra]). lra.
  - intros U. now apply curvature_at.
  - cbv zeta. rewrite q_at, distance_at, gap_at by auto. split; [auto|]. split; [now apply M_minimises|]. split; [|split; [|split]].
    + intros Q ker. destruct (ker 0%nat) as [a const]; [apply Nat.lt_0_succ|apply Rlt_0_1|].
      assert (c0 := const 0%nat (Nat.lt_0_succ 1)). assert (c1 := const 1%nat (Nat.lt_succ_diag_r 1)).
      unfold logit in c0, c1. simpl in c0, c1. unfold inner, minus. simpl.
      replace (Q 1%nat 0%nat) with (Q 0%nat 0%nat) by lra. field.
    + field. lra.
    + apply Rmult_le_reg_l with (sqrt 2); [auto|].
      replace (sqrt 2 * (- ln (1 - q_of Delta x) / sqrt 2)) with (- ln (1 - q_of Delta x)) by (field; lra).
      replace (sqrt 2 * (Delta / sqrt 2 + eps)) with (Delta + sqrt 2 * eps) by (field; lra). nra.
    + apply Rle_trans with (2 := gap). apply Req_le. rewrite Rsqr_sqrt by lra. unfold mu_at, bound_of, Rsqr. field. lra.
Qed.
