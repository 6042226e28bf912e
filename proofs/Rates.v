(** * S7b, S7c and S17: lower bounds of the curvature, and how fast gradient descent contracts (docs/theory.md) *)

From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Taylor Curvature Descent SelfConcordance.
Open Scope R_scope.

(** ** S7b *)

(** Var_y(u) >= (min_i y_i) |u|^2 for u orthogonal to 1. *)
Theorem S7b_covariance C y u low :
  Sum C y = 1 -> (forall i, (i < C)%nat -> low <= y i) -> 0 <= low -> Sum C u = 0 ->
  low * Sum C (fun i => (u i)²) <= Sform C y u u.
Proof.
  intros one below low0 zero. rewrite Sform_Var by auto. set (m := mean C y u).
  (* sum_i (u_i - m)^2 = |u|^2 + C m^2 *)
  apply Rle_trans with (low * Sum C (fun i => (u i - m)²)).
  - apply Rmult_le_compat_l; [auto|].
    rewrite (Sum_ext C (fun i => (u i - m)²) (fun i => (u i)² + (m² - 2 * m * u i))) by (intros; unfold Rsqr; ring).
    rewrite Sum_plus, Sum_minus, Sum_const, Sum_scal, zero. assert (H := Rle_0_sqr m). assert (P := pos_INR C). nra.
  - unfold Var. rewrite <- Sum_scal. apply Sum_le. intros i Hi. apply Rmult_le_compat_r; [apply Rle_0_sqr|auto].
Qed.

(** ** S7c *)

(** sum_n s_n |V x_n|^2 >= sig2 |V|^2 on the complement of the kernel: the largest sig2 is sigma_min^+(diag(sqrt s) X)^2. *)
Definition gram_lower p (sig2 : R) : Prop :=
  forall V, complement p V ->
  sig2 * norm2 p V <= Sum (samples p) (fun n => weight p n * Sum (classes p) (fun i => (logit p V n i)²)).

(** The complement is orthogonal to the gauge directions 1 v^T, so 1^T V x_n = 0. *)
Lemma complement_logits p V n : complement p V -> Sum (classes p) (logit p V n) = 0.
Proof.
  intros HV. rewrite <- (HV (gauge (input p n))).
  - unfold logit, inner, gauge. reflexivity.
  - intros m Hm _. exists (Sum (features p) (fun d => input p n d * input p m d)). intros i Hi. reflexivity.
Qed.

(** On the complement H(W) >= (min_n,i y_ni) sigma_min^2. *)
Theorem S7c_lower_bound p W V low sig2 :
  (forall n i, (n < samples p)%nat -> 0 < weight p n -> (i < classes p)%nat -> low <= prob p W n i) -> 0 <= low ->
  gram_lower p sig2 -> complement p V -> low * sig2 * norm2 p V <= hessian p W V V.
Proof.
  intros below low0 gram HV. apply Rle_trans with (low * Sum (samples p) (fun n =>
    weight p n * Sum (classes p) (fun i => (logit p V n i)²))).
  - rewrite Rmult_assoc. apply Rmult_le_compat_l; [auto|]. now apply gram.
  - rewrite <- Sum_scal. apply Sum_le. intros n Hn. destruct (weight_nonneg p n Hn) as [sn|<-]; [|lra].
    destruct (prob_distribution p W n) as [_ one].
    assert (H := S7b_covariance (classes p) (prob p W n) (logit p V n) low one (fun i Hi => below n i Hn sn Hi) low0
      (complement_logits p V n HV)). nra.
Qed.

(** ** S17: contraction *)

Lemma inner_scale_l p a A B : inner p (fun c d => a * A c d) B = a * inner p A B.
Proof.
  unfold inner. rewrite <- Sum_scal. apply Sum_ext. intros. rewrite <- Sum_scal. apply Sum_ext. intros. ring.
Qed.

Lemma hessian_move_r p W U a V A : hessian p W A (move U a V) = hessian p W A U + a * hessian p W A V.
Proof. rewrite <- !S4_product. apply inner_move_r. Qed.

Lemma hessian_move_l p W U a V A : hessian p W (move U a V) A = hessian p W U A + a * hessian p W V A.
Proof. rewrite S4_symmetric, hessian_move_r, (S4_symmetric p W A U), (S4_symmetric p W A V). reflexivity. Qed.

Section Contraction.
  Variable p : problem.
  Variables (mu Lam eta c : R).
  Hypothesis c_mu : Rabs (1 - eta * mu) <= c.
  Hypothesis c_Lam : Rabs (1 - eta * Lam) <= c.
  Hypothesis eta_nonneg : 0 <= eta.

  (** The form of I - eta H. *)
  Definition damped (W U V : matrix) : R := inner p U V - eta * hessian p W U V.

  Lemma damped_move W U V a : damped W (move U a V) (move U a V) =
    damped W U U + 2 * a * damped W U V + a² * damped W V V.
  Proof.
    unfold damped. rewrite inner_move_l, !inner_move_r, hessian_move_l, !hessian_move_r.
    rewrite (inner_comm p V U), (S4_symmetric p W V U). unfold Rsqr. ring.
  Qed.

  (** mu <= H <= Lam: |u^T (I - eta H) u| <= c |u|^2 *)
  Lemma damped_le W U : mu * norm2 p U <= hessian p W U U <= Lam * norm2 p U ->
    Rabs (damped W U U) <= c * norm2 p U.
  Proof.
    intros [lo hi]. unfold damped. fold (norm2 p U). assert (n0 := norm2_nonneg p U).
    apply Rabs_le_between in c_mu. apply Rabs_le_between in c_Lam. apply Rabs_le. split; nra.
  Qed.

  (** By polarisation, u^T (I - eta H) v <= c (|u|^2 + |v|^2) / 2. *)
  Lemma damped_polar W U V :
    (forall A, A = move U 1 V \/ A = move U (-1) V -> mu * norm2 p A <= hessian p W A A <= Lam * norm2 p A) ->
    damped W U V <= c / 2 * (norm2 p U + norm2 p V).
  Proof.
    intros both.
    assert (H1 := damped_le W (move U 1 V) (both _ (or_introl eq_refl))).
    assert (H2 := damped_le W (move U (-1) V) (both _ (or_intror eq_refl))).
    rewrite damped_move, norm2_move in H1, H2. apply Rabs_le_between in H1. apply Rabs_le_between in H2.
    unfold Rsqr in *. lra.
  Qed.

  Variable M : matrix.
  Hypothesis least : minimiser p M.

  (** One step contracts the distance to the minimiser M by c, where mu <= H <= Lam on the complement along the segment
      from M to W. *)
  Theorem S17_contraction W : complement p (minus W M) ->
    (forall t U, 0 <= t <= 1 -> complement p U ->
      mu * norm2 p U <= hessian p (move M t (minus W M)) U U <= Lam * norm2 p U) ->
    norm p (minus (step p eta W) M) <= c * norm p (minus W M).
  Proof.
    intros HV between. set (V := minus W M) in *. set (U' := minus (step p eta W) M).
    assert (c0 : 0 <= c) by (apply Rle_trans with (2 := c_mu), Rabs_pos).
    assert (HU' : complement p U').
    { intros K ker. unfold U', step. rewrite inner_minus_l, inner_move_l, S6_gradient_orthogonal by auto.
      assert (H := HV K ker). unfold V in H. rewrite inner_minus_l in H. lra. }
    (* h(t) = <t V - eta grad(M + t V), Y> has the derivative V^T (I - eta H(M + t V)) Y; h(1) - h(0) = <U', Y> *)
    assert (main : forall Y, complement p Y -> inner p U' Y <= c / 2 * (norm2 p V + norm2 p Y)).
    { intros Y HY.
      destruct (mean_value (fun t => t * inner p V Y - eta * inner p (gradient p (move M t V)) Y)
        (fun t => damped (move M t V) V Y) 0 1) as [t [Ht E]]; [lra| |].
      - intros t. unfold damped.
        apply (is_derive_minus (fun t => t * inner p V Y) (fun t => eta * inner p (gradient p (move M t V)) Y)).
        + auto_derive; [trivial|ring].
        + apply is_derive_scal, S4_second_derivative_along.
      - assert (Z : forall U, inner p (gradient p M) U = 0).
        { intros U. assert (H := inner_Cauchy_Schwarz p (gradient p M) U).
          rewrite (proj2 (stationary_iff_minimiser p M) least), Rmult_0_l in H.
          apply Rsqr_0_uniq, Rle_antisym; [auto|apply Rle_0_sqr]. }
        assert (G0 : inner p (gradient p (move M 0 V)) Y = 0).
        { rewrite (inner_same p _ (gradient p M) Y Y); [apply Z| |intros a b _ _; reflexivity].
          intros a b Ha _. apply gradient_same; [apply same_move_0|auto]. }
        assert (G1 : inner p (gradient p (move M 1 V)) Y = inner p (gradient p W) Y).
        { apply inner_same; [|intros a b _ _; reflexivity].
          intros a b Ha _. apply gradient_same; [apply same_move_minus|auto]. }
        rewrite G0, G1 in E.
        assert (EU : inner p U' Y = inner p V Y - eta * inner p (gradient p W) Y).
        { unfold U', V, step. rewrite !inner_minus_l, inner_move_l. ring. }
        rewrite EU. replace (inner p V Y - eta * inner p (gradient p W) Y) with (damped (move M t V) V Y) by lra.
        apply damped_polar. intros A [->| ->]; apply between; auto; intros K ker;
          rewrite inner_move_l, (HV K ker), (HY K ker); ring. }
    (* with Y = r U', r = |V| / |U'|, the right side is as small as it gets *)
    assert (nV : 0 <= norm p V) by apply sqrt_pos. assert (nU : 0 <= norm p U') by apply sqrt_pos.
    destruct (Req_dec (norm p U') 0) as [z|nz]; [rewrite z; nra|].
    set (r := norm p V / norm p U').
    assert (H := main (fun a b => r * U' a b)).
    rewrite inner_comm, inner_scale_l in H. fold (norm2 p U') in H.
    assert (N2 : norm2 p (fun a b => r * U' a b) = norm2 p V).
    { unfold norm2 at 1. rewrite inner_scale_l, inner_comm, inner_scale_l. fold (norm2 p U').
      rewrite <- !norm_sqr. unfold r, Rsqr. field. auto. }
    rewrite N2, <- !norm_sqr in H.
    replace (r * (norm p U')²) with (norm p V * norm p U') in H by (unfold r, Rsqr; field; auto).
    assert (H' : norm p V * norm p U' <= norm p V * (c * norm p V)).
    { unfold Rsqr in H. replace (norm p V * (c * norm p V)) with (c / 2 * (norm p V * norm p V + norm p V * norm p V)) by field.
      apply H. intros K ker. rewrite inner_scale_l, (HU' K ker). ring. }
    destruct (Req_dec (norm p V) 0) as [zV|nzV].
    - (* W = M *)
      assert (H0 := main U' HU'). fold (norm2 p U') in H0. rewrite <- !norm_sqr, zV in H0.
      assert (sV : same p W M).
      { assert (nz2 : norm2 p V = 0) by (rewrite <- norm_sqr, zV; unfold Rsqr; ring).
        apply norm2_zero in nz2. intros a b Ha Hb. specialize (nz2 a b Ha Hb). unfold V, minus in nz2. lra. }
      exfalso. apply nz. unfold norm. rewrite <- sqrt_0. f_equal.
      assert (g0 := proj2 (stationary_iff_minimiser p M) least).
      unfold norm2. apply Sum_zero. intros a Ha. apply Sum_zero. intros b Hb.
      assert (ga := norm2_zero p _ g0 a b Ha Hb). cbv beta in ga.
      assert (E : U' a b = 0).
      { unfold U', step, minus, move. rewrite (gradient_same p W M a b sV Ha), ga, (sV a b Ha Hb). ring. }
      rewrite E. ring.
    - apply Rmult_le_reg_l with (norm p V); [lra|]. exact H'.
  Qed.
End Contraction.

(** The local rate: within the distance r of a minimiser M, where rho bounds the logits' ranges for W - M, a step contracts
    by max |1 - eta e^(-rho) mu|, |1 - eta e^rho Lam|, mu and Lam the extreme curvatures at M; as W tends to M, rho tends to
    0, and this to the rate max(|1 - eta mu|, |1 - eta Lam|). *)
Theorem S17_local_rate p eta mu Lam M W rho : 0 <= eta -> 0 <= mu -> minimiser p M -> complement p (minus W M) ->
  (forall U, complement p U -> mu * norm2 p U <= hessian p M U U <= Lam * norm2 p U) ->
  0 <= rho -> ranges_below p (minus W M) rho ->
  norm p (minus (step p eta W) M) <=
    Rmax (Rabs (1 - eta * (exp (- rho) * mu))) (Rabs (1 - eta * (exp rho * Lam))) * norm p (minus W M).
Proof.
  intros eta0 mu0 least HV at_M rho0 r.
  apply S17_contraction with (exp (- rho) * mu) (exp rho * Lam); auto; [apply Rmax_l|apply Rmax_r|].
  intros t U Ht HU. destruct (at_M U HU) as [lo hi].
  assert (H1 := S8_Hessian_below p M (minus W M) U rho t r). assert (H2 := S8_Hessian_above p M (minus W M) U rho t r).
  rewrite Rabs_pos_eq in H1, H2 by lra. assert (h0 := S5_nonnegative p M U).
  assert (mono : forall x y, x <= y -> exp x <= exp y) by (intros x y [l| ->]; [left; now apply exp_increasing|lra]).
  assert (E1 : exp (- rho) <= exp (- (t * rho))) by (apply mono; nra).
  assert (E2 : exp (t * rho) <= exp rho) by (apply mono; nra).
  assert (P1 := exp_pos (- rho)). assert (P2 := exp_pos rho). split.
  - rewrite Rmult_assoc. apply Rle_trans with (2 := H1). apply Rle_trans with (exp (- rho) * hessian p M U U).
    + apply Rmult_le_compat_l; lra.
    + apply Rmult_le_compat_r; lra.
  - rewrite Rmult_assoc. apply Rle_trans with (1 := H2). apply Rle_trans with (exp rho * hessian p M U U).
    + apply Rmult_le_compat_r; lra.
    + apply Rmult_le_compat_l; lra.
Qed.

(** The best fixed step 2 / (mu + Lam) makes the two ends equal: (kappa - 1) / (kappa + 1), kappa = Lam / mu. *)
Theorem S17_best_step mu Lam : 0 < mu -> mu <= Lam ->
  let eta := 2 / (mu + Lam) in let kappa := Lam / mu in
  Rabs (1 - eta * mu) = (kappa - 1) / (kappa + 1) /\ Rabs (1 - eta * Lam) = (kappa - 1) / (kappa + 1) /\
  forall eta', (kappa - 1) / (kappa + 1) <= Rmax (Rabs (1 - eta' * mu)) (Rabs (1 - eta' * Lam)).
Proof.
  intros mu0 le eta kappa.
  assert (E : (kappa - 1) / (kappa + 1) = (Lam - mu) / (Lam + mu)) by (unfold kappa; field; lra).
  assert (p0 : 0 <= (Lam - mu) / (Lam + mu)) by (apply Rmult_le_pos; [lra|left; apply Rinv_0_lt_compat; lra]).
  rewrite E. repeat split.
  - replace (1 - eta * mu) with ((Lam - mu) / (Lam + mu)) by (unfold eta; field; lra). now apply Rabs_pos_eq.
  - replace (1 - eta * Lam) with (- ((Lam - mu) / (Lam + mu))) by (unfold eta; field; lra).
    rewrite Rabs_Ropp. now apply Rabs_pos_eq.
  - intros eta'. set (m := Rmax _ _).
    assert (M1 : 1 - eta' * mu <= m) by (apply Rle_trans with (1 := Rle_abs _), Rmax_l).
    assert (M2 : - (1 - eta' * Lam) <= m) by (apply Rle_trans with (1 := Rle_abs _); rewrite Rabs_Ropp; apply Rmax_r).
    (* Lam m >= Lam - eta' mu Lam and mu m >= eta' mu Lam - mu *)
    apply Rmult_le_reg_r with (Lam + mu); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra. nra.
Qed.

(** So in the limit the factor is max(|1 - eta mu|, |1 - eta Lam|): as near to it as one likes, near enough to M. *)
Theorem S17_asymptotic_rate p eta mu Lam M eps : 0 <= eta -> 0 <= mu <= Lam -> minimiser p M -> 0 < eps ->
  (forall U, complement p U -> mu * norm2 p U <= hessian p M U U <= Lam * norm2 p U) ->
  exists delta, 0 < delta /\ forall W, complement p (minus W M) -> norm p (minus W M) <= delta ->
    norm p (minus (step p eta W) M)
      <= (Rmax (Rabs (1 - eta * mu)) (Rabs (1 - eta * Lam)) + eps) * norm p (minus W M).
Proof.
  intros eta0 [mu0 le] least eps0 at_M.
  (* rho so small that e^rho <= 1 + k, k = eps / (eta Lam + 1) *)
  set (k := eps / (eta * Lam + 1)). assert (el : 0 <= eta * Lam) by (apply Rmult_le_pos; lra).
  assert (k0 : 0 < k) by (apply Rdiv_lt_0_compat; lra).
  assert (kel : eta * Lam * k <= eps).
  { unfold k. apply Rmult_le_reg_r with (eta * Lam + 1); [lra|]. field_simplify; nra. }
  set (beta := sqrt (2 * Sum (samples p) (fun n => dot (features p) (input p n) (input p n)))).
  assert (b0 : 0 <= beta) by apply sqrt_pos.
  assert (large : forall n, (n < samples p)%nat -> 0 < weight p n -> 2 * dot (features p) (input p n) (input p n) <= beta²).
  { intros n Hn _. unfold beta. rewrite Rsqr_sqrt.
    - apply Rmult_le_compat_l; [lra|]. apply (Sum_term_le (samples p) (fun n => dot (features p) (input p n) (input p n))); auto.
      intros. apply dot_self_nonneg.
    - apply Rmult_le_pos; [lra|]. apply Sum_nonneg. intros. apply dot_self_nonneg. }
  set (rho := ln (1 + k)). assert (rho0 : 0 < rho) by (unfold rho; rewrite <- ln_1; apply ln_increasing; lra).
  exists (rho / (beta + 1)). split; [apply Rdiv_lt_0_compat; lra|]. intros W HV near.
  assert (n0 : 0 <= norm p (minus W M)) by apply sqrt_pos.
  assert (r : ranges_below p (minus W M) rho).
  { intros n Hn sn i j Hi Hj. apply Rle_trans with (1 := S8_range_below_norm p (minus W M) beta b0 large n Hn sn i j Hi Hj).
    apply Rmult_le_compat_l with (r := beta + 1) in near; [|lra].
    replace ((beta + 1) * (rho / (beta + 1))) with rho in near by (field; lra). lra. }
  apply Rle_trans with (1 := S17_local_rate p eta mu Lam M W rho eta0 mu0 least HV at_M (Rlt_le _ _ rho0) r).
  apply Rmult_le_compat_r; [auto|].
  assert (E : exp rho = 1 + k) by (unfold rho; apply exp_ln; lra).
  assert (E' : 1 - k <= exp (- rho) <= 1).
  { rewrite exp_Ropp, E. split.
    - apply Rmult_le_reg_r with (1 + k); [lra|]. rewrite Rinv_l by lra. nra.
    - apply Rmult_le_reg_r with (1 + k); [lra|]. rewrite Rinv_l by lra. lra. }
  rewrite E. set (m := Rmax (Rabs (1 - eta * mu)) (Rabs (1 - eta * Lam))).
  assert (m1 : Rabs (1 - eta * mu) <= m) by apply Rmax_l. assert (m2 : Rabs (1 - eta * Lam) <= m) by apply Rmax_r.
  apply Rabs_le_between in m1. apply Rabs_le_between in m2.
  assert (em : 0 <= eta * mu <= eta * Lam) by (split; [apply Rmult_le_pos; lra|apply Rmult_le_compat_l; lra]).
  apply Rmax_lub; apply Rabs_le; split; nra.
Qed.
