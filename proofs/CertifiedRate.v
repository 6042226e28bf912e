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

(** ** The rate that the minimiser's checker claims *)

Lemma Var_shift C y u a : Sum C y = 1 -> Var C y (fun i => u i + a) = Var C y u.
Proof.
  intros one. unfold Var. apply Sum_ext. intros i _.
  replace (mean C y (fun i => u i + a)) with (mean C y u + a); [f_equal; f_equal; ring|].
  unfold mean. rewrite (Sum_ext C (fun i => y i * (u i + a)) (fun i => y i * u i + y i * a)) by (intros; ring).
  rewrite Sum_plus, Sum_scal_r, one. ring.
Qed.

(** The form does not see the kernel ... *)
Lemma hessian_minus_kernel p W V K : kernel p K -> hessian p W (minus V K) (minus V K) = hessian p W V V.
Proof.
  intros ker. rewrite !S4_variance. apply Sum_ext. intros n Hn. destruct (weight_nonneg p n Hn) as [sn|<-]; [|ring].
  f_equal. destruct (ker n Hn sn) as [a const]. destruct (prob_distribution p W n) as [_ one].
  rewrite <- (Var_shift (classes p) (prob p W n) (logit p V n) (- a) one).
  unfold Var. assert (E : forall i, (i < classes p)%nat -> logit p (minus V K) n i = logit p V n i + - a)
    by (intros i Hi; rewrite logit_minus, const by auto; ring).
  rewrite (mean_ext _ (prob p W n) (prob p W n) (logit p (minus V K) n) (fun i => logit p V n i + - a)) by (trivial || exact E).
  apply Sum_ext. intros i Hi. now rewrite E.
Qed.

(** ... and does not change along it. *)
Lemma hessian_along_kernel p W K V a : kernel p K -> hessian p (move W a K) V V = hessian p W V V.
Proof.
  intros ker.
  assert (r : ranges_below p K 0).
  { intros n Hn sn i j Hi Hj. destruct (ker n Hn sn) as [b const]. rewrite !const by auto. lra. }
  assert (H1 := S8_Hessian_above p W K V 0 a r). assert (H2 := S8_Hessian_below p W K V 0 a r).
  rewrite Rmult_0_r in H1, H2. rewrite Ropp_0 in H2. rewrite exp_0 in H1, H2. lra.
Qed.

(** Without its part in the kernel a direction is no longer: |V - K|^2 + |K|^2 = |V|^2 where V - K is orthogonal to K. *)
Lemma norm_complement_le p V K : kernel p K -> complement p (minus V K) -> norm p (minus V K) <= norm p V.
Proof.
  intros ker HV. apply sqrt_le_1_alt. assert (O := HV K ker). rewrite inner_minus_l in O.
  unfold norm2. rewrite !inner_minus_l, !inner_minus_r, (inner_comm p K V). assert (k0 := norm2_nonneg p K).
  unfold norm2 in k0. lra.
Qed.

Theorem checker_rate p kept coefficient sigma W beta2 mu square bound Lambda size low :
  (forall n d, (n < samples p)%nat -> 0 < weight p n -> (d < features p)%nat -> kept d = false ->
    input p n d = Sum (features p) (fun e => if kept e then coefficient d e * input p n e else 0)) ->
  (forall d, 0 < sigma d) -> 0 < beta2 ->
  (forall n, (n < samples p)%nat -> 0 < weight p n ->
    2 * Sum (features p) (fun d => if kept d then (input p n d / sigma d)² else 0) <= beta2) ->
  (forall c d, (c < classes p)%nat -> (d < features p)%nat -> kept d = true -> Rabs (gradient p W c d) <= bound c d) ->
  Sum (classes p) (fun c => Sum (features p) (fun d => if kept d then (bound c d)² / (sigma d)² else 0)) <= square ->
  0 < mu -> (forall U, gauge_free p kept U -> mu * norm2 p (scale sigma U) <= hessian p W U U) ->
  let q := sqrt (beta2 * square) / mu in
  q < 1 -> 0 < Lambda -> curvature_bound p Lambda ->
  0 <= size -> (forall n, (n < samples p)%nat -> 0 < weight p n -> dot (features p) (input p n) (input p n) <= size) ->
  0 < low -> (forall d, (d < features p)%nat -> kept d = true -> low <= sigma d) ->
  let rho := sqrt (2 * size) * (- ln (1 - q) / sqrt beta2 / low) in
  exists M, minimiser p M /\ complement p (minus M W) /\ forall k,
    norm p (minus (descent p (/ Lambda) W (S k)) M) <=
      (1 - exp (- rho) * (1 - q) * (mu * low²) / Lambda) * norm p (minus (descent p (/ Lambda) W k) M).
Proof.
  intros dropped sig0 beta0 beta_large bound_holds square_large mu0 cur q q1 L0 HL size0 size_large low0 below rho.
  assert (b0 : 0 < sqrt beta2) by (apply sqrt_lt_R0; auto).
  assert (square0 : 0 <= square).
  { apply Rle_trans with (2 := square_large). apply Sum_nonneg. intros c Hc. apply Sum_nonneg. intros d Hd.
    destruct (kept d); [|lra]. apply Rmult_le_pos; [apply Rle_0_sqr|]. left. apply Rinv_0_lt_compat, Rlt_0_sqr.
    assert (P := sig0 d). lra. }
  assert (Eq : q = sqrt beta2 * sqrt square / mu) by (unfold q; rewrite sqrt_mult by lra; reflexivity).
  assert (n0 : forall U, 0 <= scaled_norm p sigma U) by (intros; apply sqrt_pos).
  assert (g0 : 0 <= sqrt square) by apply sqrt_pos.
  assert (cur' : forall U, gauge_free p kept U -> mu * (scaled_norm p sigma U)² <= hessian p W U U)
    by (intros U HU; unfold scaled_norm; rewrite norm_sqr; auto).
  assert (dec := gauge_free_decomposes p kept coefficient dropped).
  assert (ranges := scaled_ranges p kept sigma sig0 beta2 beta0 beta_large).
  assert (slope := scaled_slope p kept sigma sig0 W square bound bound_holds square_large).
  unfold rho. clear rho. rewrite Eq in q1 |- *.
  destruct (nearby_minimiser p (gauge_free p kept) (scaled_norm p sigma) W _ mu (sqrt square) dec n0 b0 ranges
    mu0 cur' slope q1) as [G [HG least]].
  assert (radius := nearby_radius p (gauge_free p kept) (scaled_norm p sigma) W _ mu (sqrt square) n0 b0 ranges mu0 cur'
    slope g0 q1 G HG least).
  assert (ball := fun V => nearby_curvature p (gauge_free p kept) (scaled_norm p sigma) W _ mu (sqrt square) b0 ranges q1
    G V HG radius).
  assert (q0 := q_nonneg (sqrt beta2) mu (sqrt square) b0 mu0 g0).
  set (k := sqrt beta2 * sqrt square / mu) in *.
  (* the minimiser in W + complement *)
  destruct (kernel_decomposition p G) as [K [ker HU]]. set (U := minus G K) in *. exists (move W 1 U).
  assert (sU : same p (minus (move W 1 U) W) U) by (intros c d _ _; unfold minus, move; ring).
  assert (leastU : minimiser p (move W 1 U)).
  { intros A. apply Rle_trans with (2 := least A). apply Req_le.
    rewrite <- (S6_loss_constant p (move W 1 U) K 1 ker). apply loss_same. intros c d _ _. unfold U, move, minus. ring. }
  assert (inC : complement p (minus (move W 1 U) W)).
  { intros Q kQ. rewrite (inner_same p _ U Q Q sU) by (intros c d _ _; reflexivity). auto. }
  split; [auto|]. split; [auto|]. intros i.
  apply (S17_certificate p W (move W 1 U) k (mu * low²) Lambda (sqrt (2 * size)) (- ln (1 - k) / sqrt beta2 / low)); auto.
  - lra.
  - intros V. apply Rle_trans with (1 := ball V). apply Req_le.
    rewrite <- (hessian_along_kernel p (move W 1 U) K V 1 ker). apply hessian_same.
    intros c d _ _. unfold U, move, minus. ring.
  - (* the curvature in the plain norm, on the complement *)
    intros Z HZ. destruct (dec Z) as [K' [ker' HZ']].
    rewrite <- (hessian_minus_kernel p W Z K' ker'). apply Rle_trans with (2 := cur' _ HZ').
    rewrite Rmult_assoc. apply Rmult_le_compat_l; [lra|].
    assert (s1 := scaled_norm_ge p kept sigma low (minus Z K') low0 below HZ').
    assert (s2 : norm2 p Z <= norm2 p (minus Z K')).
    { assert (O := HZ K' ker'). unfold norm2. rewrite !inner_minus_l, !inner_minus_r, (inner_comm p K' Z), O.
      assert (k0 := norm2_nonneg p K'). unfold norm2 in k0. lra. }
    apply Rle_trans with (low² * norm2 p (minus Z K')).
    + apply Rmult_le_compat_l; [apply Rle_0_sqr|auto].
    + rewrite <- norm_sqr, <- Rsqr_mult. apply Rsqr_incr_1; auto. apply Rmult_le_pos; [lra|apply sqrt_pos].
  - apply sqrt_pos.
  - intros n Hn sn. rewrite Rsqr_sqrt by lra. apply Rmult_le_compat_l; [lra|auto].
  - (* |W - M| = |U| <= |G| <= |G|_sigma / low *)
    assert (flip : norm p (minus W (move W 1 U)) = norm p U).
    { unfold norm, norm2. f_equal.
      transitivity (inner p (fun c d => -1 * U c d) (fun c d => -1 * U c d)).
      - apply inner_same; intros c d _ _; unfold minus, move; ring.
      - rewrite inner_scale_l, inner_comm, inner_scale_l. ring. }
    rewrite flip. apply Rle_trans with (norm p G); [now apply norm_complement_le|].
    apply Rmult_le_reg_l with low; [auto|]. apply Rle_trans with (1 := scaled_norm_ge p kept sigma low G low0 below HG).
    apply Rle_trans with (1 := radius). apply Req_le. field. split; lra.
Qed.
