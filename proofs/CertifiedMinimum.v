(** * The minimiser's checker is sound (S13 as jaxsoftmax/proof/checkers/check_minimiser.py applies it)

    Scaled features, columns that are combinations of others dropped, a bound of the gradient instead of the gradient, and
    the gap q^2 / (2 (1 - q)) mu / beta^2 that the code evaluates. The curvature's bound mu is a hypothesis here:
    PairCurvature.v proves what check_curvature.py tests. Taken as given: the balls of Arb hold the values that they
    enclose. No L2 penalty. *)

From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Taylor Curvature SelfConcordance Recession Nearby Minimum.
Open Scope R_scope.

(** The gap of S13 is at most q^2 / (2 (1 - q)). *)
Lemma gap_simple q : 0 <= q < 1 -> q + (1 - q) * ln (1 - q) <= q² / (2 * (1 - q)).
Proof.
  intros [q0 q1].
  (* log (1 - q) <= - q - q^2 / 2: both vanish at 0, and - 1 / (1 - t) <= - 1 - t *)
  assert (H : ln (1 - q) <= - q - q² / 2).
  { destruct (Req_dec q 0) as [->|nz]; [rewrite Rminus_0_r, ln_1; unfold Rsqr; lra|].
    destruct (MVT_gen (fun t => - t - t² / 2 - ln (1 - t)) 0 q (fun t => - 1 - t + / (1 - t))) as [c [Hc E]];
      rewrite ?Rmin_left, ?Rmax_right in * by lra.
    - intros x Hx. unfold Rsqr. auto_derive; [lra|field; lra].
    - intros x Hx. apply continuity_pt_filterlim. apply (ex_derive_continuous (fun t => - t - t² / 2 - ln (1 - t))).
      unfold Rsqr. auto_derive. lra.
    - assert (0 <= - 1 - c + / (1 - c)).
      { replace (- 1 - c + / (1 - c)) with (c² / (1 - c)) by (unfold Rsqr; field; lra).
        apply Rmult_le_pos; [apply Rle_0_sqr|]. left. apply Rinv_0_lt_compat. lra. }
      rewrite Rminus_0_r, ln_1 in E. unfold Rsqr in *. nra. }
  apply Rmult_le_reg_r with (2 * (1 - q)); [lra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by lra.
  unfold Rsqr in *. set (l := ln (1 - q)) in *.
  assert (P : (1 - q) * l <= (1 - q) * (- q - q * q / 2)) by (apply Rmult_le_compat_l; lra).
  assert (A : q + (1 - q) * l <= q * q * (1 + q) / 2) by lra.
  apply Rle_trans with (q * q * (1 + q) / 2 * (2 * (1 - q))); [apply Rmult_le_compat_r; lra|].
  assert (0 <= q * q) by nra. assert (0 <= q * q * (q * q)) by nra. lra.
Qed.

Section Certificate.
  Variable p : problem.
  Notation N := (samples p).
  Notation C := (classes p).
  Notation D := (features p).
  Notation X := (input p).
  Notation s := (weight p).

  (** The columns kept, and the coefficients of the others (witness "columns", "dropped"). *)
  Variable kept : nat -> bool.
  Variable coefficient : nat -> nat -> R.
  Hypothesis dropped : forall n d, (n < N)%nat -> 0 < s n -> (d < D)%nat -> kept d = false ->
    X n d = Sum D (fun e => if kept e then coefficient d e * X n e else 0).

  (** The scaling: positive numbers, no larger than they are on the columns kept. *)
  Variable sigma : nat -> R.
  Hypothesis sigma_pos : forall d, 0 < sigma d.

  (** Directions with zero column sums, 0 on the dropped columns. *)
  Definition gauge_free (V : matrix) : Prop :=
    (forall d, (d < D)%nat -> Sum C (fun c => V c d) = 0) /\
    (forall c d, (c < C)%nat -> (d < D)%nat -> kept d = false -> V c d = 0).

  Definition scale (V : matrix) : matrix := fun c d => V c d * sigma d.
  Definition scaled_norm (V : matrix) : R := norm p (scale V).

  (** least |U| <= |U|_sigma, entry by entry. *)
  Lemma scaled_norm_ge low U : 0 < low -> (forall d, (d < D)%nat -> kept d = true -> low <= sigma d) -> gauge_free U ->
    low * norm p U <= scaled_norm U.
  Proof.
    intros low0 below [_ off]. rewrite Rmult_comm. apply Rsqr_incr_0_var; [|apply sqrt_pos]. unfold scaled_norm.
    rewrite Rsqr_mult, !norm_sqr. unfold norm2, inner. rewrite <- Sum_scal_r. apply Sum_le. intros c Hc.
    rewrite <- Sum_scal_r. apply Sum_le. intros d Hd. unfold scale. destruct (kept d) eqn:kd.
    - assert (P := below d Hd kd).
      replace (U c d * sigma d * (U c d * sigma d)) with (U c d * U c d * (sigma d)²) by (unfold Rsqr; ring).
      apply Rmult_le_compat_l; [nra|]. unfold Rsqr. nra.
    - rewrite off by auto. lra.
  Qed.

  (** Every direction is one in the kernel and one such: move the dropped columns into those kept, then subtract the mean
      of every column. *)
  Definition without_dropped (V : matrix) : matrix := fun c d =>
    if kept d then V c d + Sum D (fun e => if kept e then 0 else V c e * coefficient e d) else 0.
  Definition without_mean (V : matrix) : matrix := fun c d => V c d - Sum C (fun i => V i d) / INR C.

  Lemma logit_without_dropped V n i : (n < N)%nat -> 0 < s n -> logit p (without_dropped V) n i = logit p V n i.
  Proof.
    intros Hn sn. unfold logit, without_dropped.
    rewrite (Sum_ext D (fun d => V i d * X n d) (fun d => (if kept d then V i d * X n d else 0) +
      Sum D (fun e => if kept d then 0 else (if kept e then V i d * coefficient d e * X n e else 0)))).
    - rewrite (Sum_plus D (fun d => if kept d then V i d * X n d else 0)), Sum_swap, <- Sum_plus.
      apply Sum_ext. intros e He. destruct (kept e).
      + rewrite Rmult_plus_distr_r. f_equal. rewrite <- Sum_scal_r. apply Sum_ext. intros d Hd. destruct (kept d); ring.
      + rewrite (Sum_zero D); [ring|]. intros d _. destruct (kept d); reflexivity.
    - intros d Hd. destruct (kept d) eqn:k.
      + rewrite Sum_zero by reflexivity. ring.
      + rewrite (dropped n d Hn sn Hd k), <- Sum_scal, Rplus_0_l. apply Sum_ext. intros e He. destruct (kept e); ring.
  Qed.

  Lemma gauge_free_decomposes V : exists K, kernel p K /\ gauge_free (minus V K).
  Proof.
    assert (HC : INR C <> 0) by (apply not_0_INR; assert (H := classes_pos p); lia).
    set (U := without_mean (without_dropped V)). exists (minus V U). split.
    - intros n Hn sn. exists (Sum D (fun d => Sum C (fun i => without_dropped V i d) / INR C * X n d)). intros i Hi.
      rewrite logit_minus, <- (logit_without_dropped V n i Hn sn). unfold U, without_mean, logit.
      rewrite <- Sum_minus. apply Sum_ext. intros. ring.
    - split.
      + intros d Hd. rewrite (Sum_ext C _ (fun c => without_dropped V c d - Sum C (fun i => without_dropped V i d) / INR C)).
        * rewrite Sum_minus, Sum_const. field. auto.
        * intros. unfold minus, U, without_mean. ring.
      + intros c d Hc Hd k. unfold minus, U, without_mean.
        replace (V c d - (V c d - (without_dropped V c d - Sum C (fun i => without_dropped V i d) / INR C)))
          with (without_dropped V c d - Sum C (fun i => without_dropped V i d) / INR C) by ring.
        rewrite (Sum_zero C) by (intros; unfold without_dropped; rewrite k; reflexivity).
        unfold without_dropped. rewrite k. field. auto.
  Qed.

  (** The same problem in the features x / sigma, those kept. *)
  Definition scaled_problem : problem :=
    {| samples := N; classes := C; features := D;
       input := fun n d => if kept d then X n d / sigma d else 0;
       target := target p; weight := s;
       classes_pos := classes_pos p; weight_nonneg := weight_nonneg p;
       target_nonneg := target_nonneg p; target_sum := target_sum p |}.

  Lemma logit_scaled V n i : gauge_free V -> (i < C)%nat -> logit scaled_problem (scale V) n i = logit p V n i.
  Proof.
    intros [_ off] Hi. apply Sum_ext. intros d Hd. simpl. unfold scale. destruct (kept d) eqn:k.
    - assert (P := sigma_pos d). field. lra.
    - rewrite off by auto. ring.
  Qed.

  (** beta2 >= 2 |x_n / sigma|^2 for every sample *)
  Variables (W : matrix) (beta2 mu square : R).
  Hypothesis beta2_pos : 0 < beta2.
  Hypothesis beta2_large : forall n, (n < N)%nat -> 0 < s n ->
    2 * Sum D (fun d => if kept d then (X n d / sigma d)² else 0) <= beta2.
  Notation beta := (sqrt beta2).

  Lemma scaled_ranges U : gauge_free U -> ranges_below p U (beta * scaled_norm U).
  Proof.
    intros HU n Hn sn i j Hi Hj.
    assert (H := S8_range_below_norm scaled_problem (scale U) beta (sqrt_pos beta2)).
    rewrite <- (logit_scaled U n i HU Hi), <- (logit_scaled U n j HU Hj).
    apply H; auto. intros m Hm sm. simpl. rewrite Rsqr_sqrt by lra. apply Rle_trans with (2 := beta2_large m Hm sm).
    apply Rmult_le_compat_l; [lra|]. apply Req_le, Sum_ext. intros d Hd. unfold Rsqr. destruct (kept d); ring.
  Qed.

  (** A bound of every entry of the gradient; `square` is at least the sum of their squares over sigma^2. *)
  Variable bound : matrix.
  Hypothesis bound_holds : forall c d, (c < C)%nat -> (d < D)%nat -> kept d = true ->
    Rabs (gradient p W c d) <= bound c d.
  Hypothesis square_large :
    Sum C (fun c => Sum D (fun d => if kept d then (bound c d)² / (sigma d)² else 0)) <= square.

  Lemma scaled_slope U : gauge_free U -> - (sqrt square * scaled_norm U) <= inner p (gradient p W) U.
  Proof.
    intros [_ off]. set (A := fun c d => if kept d then gradient p W c d / sigma d else 0).
    assert (E : inner p (gradient p W) U = inner p A (scale U)).
    { apply Sum_ext. intros c Hc. apply Sum_ext. intros d Hd. unfold A, scale. destruct (kept d) eqn:k.
      - assert (P := sigma_pos d). field. lra.
      - rewrite off by auto. ring. }
    rewrite E. apply Rle_trans with (2 := inner_ge p A (scale U)). apply Ropp_le_contravar.
    apply Rmult_le_compat_r; [apply sqrt_pos|]. apply sqrt_le_1_alt.
    apply Rle_trans with (2 := square_large). apply Sum_le. intros c Hc. apply Sum_le. intros d Hd. unfold A.
    destruct (kept d) eqn:k; [|lra]. assert (P := sigma_pos d). specialize (bound_holds c d Hc Hd k).
    replace (gradient p W c d / sigma d * (gradient p W c d / sigma d)) with ((gradient p W c d)² / (sigma d)²)
      by (unfold Rsqr; field; lra).
    apply Rmult_le_compat_r; [left; apply Rinv_0_lt_compat, Rlt_0_sqr; lra|].
    apply Rsqr_le_abs_1. rewrite (Rabs_pos_eq (bound c d)); [auto|]. apply Rle_trans with (2 := bound_holds), Rabs_pos.
  Qed.

  Hypothesis mu_pos : 0 < mu.
  (** H(W) >= mu on these directions, in the scaled norm (S14) *)
  Hypothesis curvature : forall U, gauge_free U -> mu * norm2 p (scale U) <= hessian p W U U.

  Notation q := (sqrt (beta2 * square) / mu).
  Hypothesis q_small : q < 1.

  (** What the certificate claims: there is a minimiser M; loss_lower <= L(M) <= loss_upper = L(W);
      |M - W|_sigma <= radius = - log (1 - q) / beta; and |M - W| <= radius / least for every lower bound of the sigma_d
      on the columns kept. *)
  Theorem checker_minimiser : exists M, minimiser p M /\
    loss p W - mu / beta2 / 2 * q * q / (1 - q) <= loss p M <= loss p W /\
    scaled_norm (minus M W) <= - ln (1 - q) / beta /\
    (forall least, 0 < least -> (forall d, (d < D)%nat -> kept d = true -> least <= sigma d) ->
      norm p (minus M W) <= - ln (1 - q) / beta / least).
  Proof.
    assert (b0 : 0 < beta) by (apply sqrt_lt_R0; auto).
    assert (square0 : 0 <= square).
    { apply Rle_trans with (2 := square_large). apply Sum_nonneg. intros c Hc. apply Sum_nonneg. intros d Hd.
      destruct (kept d); [|lra]. apply Rmult_le_pos; [apply Rle_0_sqr|]. left. apply Rinv_0_lt_compat, Rlt_0_sqr.
      assert (P := sigma_pos d). lra. }
    assert (Eq : q = beta * sqrt square / mu) by (rewrite sqrt_mult by lra; reflexivity).
    assert (n0 : forall U, 0 <= scaled_norm U) by (intros; apply sqrt_pos).
    assert (g0 : 0 <= sqrt square) by apply sqrt_pos.
    assert (cur : forall U, gauge_free U -> mu * (scaled_norm U)² <= hessian p W U U).
    { intros U HU. unfold scaled_norm. rewrite norm_sqr. auto. }
    rewrite Eq in q_small |- *.
    destruct (nearby_minimiser p gauge_free scaled_norm W beta mu (sqrt square) gauge_free_decomposes n0 b0 scaled_ranges
      mu_pos cur scaled_slope q_small) as [U [HU least]].
    assert (radius := nearby_radius p gauge_free scaled_norm W beta mu (sqrt square) n0 b0 scaled_ranges mu_pos cur
      scaled_slope g0 q_small U HU least).
    assert (gap := nearby_gap p gauge_free scaled_norm W beta mu (sqrt square) gauge_free_decomposes n0 b0 scaled_ranges
      mu_pos cur scaled_slope q_small (move W 1 U)).
    assert (q0 := q_nonneg beta mu (sqrt square) b0 mu_pos g0).
    assert (simple := gap_simple _ (conj q0 q_small)).
    rewrite Rsqr_sqrt in gap by lra.
    set (k := beta * sqrt square / mu) in *.
    assert (same_norm : forall V V', same p V V' -> norm p V = norm p V')
      by (intros V V' H; unfold norm, norm2; f_equal; now apply inner_same).
    assert (diff : same p (minus (move W 1 U) W) U) by (intros c d _ _; unfold minus, move; ring).
    exists (move W 1 U). split; [auto|]. split; [split; [|apply least]|split].
    - apply Rle_trans with (2 := gap). assert (c0 : 0 < mu / beta2) by (apply Rdiv_lt_0_compat; auto).
      replace (mu / beta2 / 2 * k * k / (1 - k)) with (mu / beta2 * (k² / (2 * (1 - k)))) by (unfold Rsqr; field; lra).
      nra.
    - unfold scaled_norm in *. rewrite (same_norm _ (scale U)); auto. intros c d Hc Hd. unfold scale.
      now rewrite (diff c d Hc Hd).
    - intros low low0 below. rewrite (same_norm _ U) by auto.
      apply Rmult_le_reg_r with low; [auto|]. unfold Rdiv at 1. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
      apply Rle_trans with (2 := radius). rewrite Rmult_comm. now apply scaled_norm_ge.
  Qed.
End Certificate.
