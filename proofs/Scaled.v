(** * S13 in scaled norms, what Minimum.v leaves: uniqueness, the curvature in the ball, what the complement is; S17 *)

From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Curvature Descent Convergence Bases Kernel Recession
  SelfConcordance Nearby Minimum CertifiedRate.
Open Scope R_scope.

Section Scaled.
  Variable p : problem.
  Variable sigma : nat -> R.
  Hypothesis sigma_pos : forall d, 0 < sigma d.
  Notation ts := (times_sigma sigma).
  Notation q_p := (over_sigma_problem p sigma).

  (** The loss in the features x / sigma. *)
  Lemma loss_ts V : loss q_p (ts V) = loss p V.
  Proof.
    unfold loss. apply Sum_ext. intros n Hn. simpl samples in Hn. simpl weight. simpl classes. simpl target. f_equal. f_equal.
    - unfold lse. f_equal. apply Sum_ext. intros i Hi. f_equal. apply (logit_over_sigma p sigma sigma_pos).
    - apply Sum_ext. intros i Hi. f_equal. apply (logit_over_sigma p sigma sigma_pos).
  Qed.

  (** The minimiser of S13_scaled is the only one in W + scaled complement. *)
  Theorem S13_scaled_unique W M M' : minimiser p M -> scaled_complement p sigma (minus M W) ->
    minimiser p M' -> scaled_complement p sigma (minus M' W) -> same p M' M.
  Proof.
    intros lM cM lM' cM'.
    assert (mn : forall Z, minimiser p Z -> minimiser q_p (ts Z)).
    { intros Z l U. rewrite loss_ts. rewrite <- (loss_same q_p (ts (over_sigma sigma U)) U).
      - rewrite loss_ts. apply l.
      - exact (over_times p sigma sigma_pos U). }
    assert (S : same q_p (ts M) (ts M')).
    { apply (S6_unique_minimiser q_p (ts M') (ts M)); auto.
      intros K ker.
      assert (back : same p (ts (over_sigma sigma K)) K) by apply (over_times p sigma sigma_pos).
      assert (kK : kernel p (over_sigma sigma K)).
      { apply (kernel_over_sigma p sigma sigma_pos). intros n Hn sn. destruct (ker n Hn sn) as [a Ha]. exists a. intros i Hi.
        rewrite (logit_same q_p _ K n i back Hi). auto. }
      assert (A := cM _ kK). assert (B := cM' _ kK).
      change (inner p (minus (ts M) (ts M')) K = 0).
      rewrite <- (inner_same p (minus (ts M) (ts M')) _ (ts (over_sigma sigma K)) K (fun _ _ _ _ => eq_refl) back).
      transitivity (inner p (ts (minus M W)) (ts (over_sigma sigma K)) - inner p (ts (minus M' W)) (ts (over_sigma sigma K))); [|lra].
      rewrite <- inner_minus_l. apply inner_same; [|intros ? ? _ _; reflexivity].
      intros c d _ _. unfold minus, times_sigma. ring. }
    intros c d Hc Hd. assert (E := S c d Hc Hd). unfold times_sigma in E. assert (P := sigma_pos d). symmetry.
    apply Rmult_eq_reg_r with (sigma d); [exact E|lra].
  Qed.

  (** In the scaled ball of radius r the curvature is at least 1 - q times that at W. *)
  Theorem S13_scaled_curvature_in_ball W beta q U V : 0 < beta ->
    (forall n, (n < samples p)%nat -> 0 < weight p n -> 2 * Sum (features p) (fun d => (input p n d / sigma d)²) <= beta²) ->
    q < 1 -> norm p (ts U) <= - ln (1 - q) / beta ->
    (1 - q) * hessian p W V V <= hessian p (move W 1 U) V V.
  Proof.
    intros b0 bl q1 close.
    assert (ranges : ranges_below p U (beta * norm p (ts U))).
    { intros n Hn sn i j Hi Hj. rewrite <- !(logit_over_sigma p sigma sigma_pos).
      apply (S8_range_below_norm q_p (ts U) beta (Rlt_le _ _ b0)); auto. }
    destruct (S8_self_concordance p W U V _ ranges) as [H _].
    apply Rle_trans with (2 := H). apply Rmult_le_compat_r; [apply S5_nonnegative|].
    rewrite <- (exp_ln (1 - q)) by lra.
    assert (L : ln (1 - q) <= - (beta * norm p (ts U))).
    { apply (Rmult_le_compat_l beta) in close; [|lra].
      replace (beta * (- ln (1 - q) / beta)) with (- ln (1 - q)) in close by (field; lra). lra. }
    destruct L as [L|L]; [left; now apply exp_increasing|rewrite L; right; reflexivity].
  Qed.

  (** The scaled complement: centred classes, and every row of V Sigma in the row space of X Sigma^-1. *)
  Theorem scaled_complement_iff V : scaled_complement p sigma V <->
    (forall d, (d < features p)%nat -> Sum (classes p) (fun c => V c d) = 0) /\
    forall c, (c < classes p)%nat -> row_space q_p (ts V c).
  Proof.
    assert (E : scaled_complement p sigma V <-> complement q_p (ts V)).
    { split.
      - intros H K ker.
        assert (back : same p (ts (over_sigma sigma K)) K) by apply (over_times p sigma sigma_pos).
        change (inner p (ts V) K = 0).
        rewrite <- (inner_same p (ts V) _ (ts (over_sigma sigma K)) K (fun _ _ _ _ => eq_refl) back). apply H.
        apply (kernel_over_sigma p sigma sigma_pos). intros n Hn sn. destruct (ker n Hn sn) as [a Ha]. exists a. intros i Hi.
        rewrite (logit_same q_p _ K n i back Hi). auto.
      - intros H K ker. apply (H (ts K)). now apply (kernel_over_sigma p sigma sigma_pos). }
    rewrite E, S6_complement. unfold centred_classes. simpl. split; intros [A B]; split; auto; intros d Hd.
    - assert (P := sigma_pos d). specialize (A d Hd). unfold times_sigma in A. rewrite Sum_scal_r in A. nra.
    - unfold times_sigma. rewrite Sum_scal_r, A by auto. ring.
  Qed.
End Scaled.

(** Where the samples of positive weight have full column rank, the scaled complement is what is centred, whatever sigma. *)
Theorem scaled_complement_full_rank p sigma V : (forall d, 0 < sigma d) ->
  (forall v, (forall n, (n < samples p)%nat -> 0 < weight p n -> dot (features p) v (input p n) = 0) ->
     forall d, (d < features p)%nat -> v d = 0) ->
  scaled_complement p sigma V <-> centred_classes p V.
Proof.
  intros sp full. assert (C0 := classes_pos p). split.
  - intros H d Hd.
    assert (K : kernel p (fun _ e => if Nat.eqb e d then 1 else 0)).
    { intros n Hn sn. exists (logit p (fun _ e => if Nat.eqb e d then 1 else 0) n 0). intros i Hi. reflexivity. }
    assert (G := H _ K). unfold inner, times_sigma in G.
    rewrite (Sum_ext (classes p) _ (fun c => V c d * (sigma d * sigma d))) in G.
    + rewrite Sum_scal_r in G. assert (P := sp d). apply Rmult_integral in G. destruct G as [G|G]; [exact G|nra].
    + intros c Hc. rewrite (Sum_ext (features p) _ (fun e => if Nat.eqb e d then V c e * (sigma e * sigma e) else 0)).
      * rewrite (Sum_pick (features p) d (fun e => V c e * (sigma e * sigma e))) by auto. reflexivity.
      * intros e He. destruct (Nat.eqb e d); ring.
  - intros H K ker.
    assert (R : forall c d, (c < classes p)%nat -> (d < features p)%nat -> K c d = K 0%nat d).
    { intros c d Hc Hd. enough (K c d - K 0%nat d = 0) by lra.
      apply (full (fun d => K c d - K 0%nat d)); auto. intros n Hn sn. destruct (ker n Hn sn) as [a Ha].
      unfold dot. rewrite (Sum_ext _ _ (fun e => K c e * input p n e - K 0%nat e * input p n e)) by (intros; ring).
      rewrite Sum_minus. assert (A := Ha c Hc). assert (B := Ha 0%nat C0). unfold logit in A, B. lra. }
    unfold inner. rewrite Sum_swap. apply Sum_zero. intros d Hd.
    rewrite (Sum_ext _ _ (fun c => V c d * (sigma d * (K 0%nat d * sigma d)))).
    + rewrite Sum_scal_r, (H d Hd). ring.
    + intros c Hc. unfold times_sigma. rewrite (R c d Hc Hd). ring.
Qed.

(** S17's certificate where S13 holds in a scaled norm: beta' and mu' are S13's, mu is the curvature in the plain norm. *)
Theorem S17_certificate_scaled p sigma W beta' mu' beta mu Lambda :
  (forall d, 0 < sigma d) -> 0 < beta' ->
  (forall n, (n < samples p)%nat -> 0 < weight p n ->
    2 * Sum (features p) (fun d => (input p n d / sigma d)²) <= beta'²) ->
  0 < mu' -> (forall U, scaled_complement p sigma U -> mu' * norm2 p (times_sigma sigma U) <= hessian p W U U) ->
  let q := beta' * norm p (over_sigma sigma (gradient p W)) / mu' in q < 1 ->
  0 <= beta ->
  (forall n, (n < samples p)%nat -> 0 < weight p n -> 2 * dot (features p) (input p n) (input p n) <= beta²) ->
  (forall U, complement p U -> mu * norm2 p U <= hessian p W U U) -> 0 < Lambda -> curvature_bound p Lambda ->
  exists M, minimiser p M /\ complement p (minus M W) /\ forall k,
    norm p (minus (descent p (/ Lambda) W (S k)) M) <=
      (1 - exp (- (beta * norm p (minus W M))) * (1 - q) * mu / Lambda) * norm p (minus (descent p (/ Lambda) W k) M).
Proof.
  intros sp b0' large' mu0' cur' q q1 b0 large cur L0 bound.
  destruct (S13_scaled p sigma sp W beta' mu' b0' large' mu0' cur' q1) as [Z [least [_ [radius _]]]]. fold q in radius.
  set (G := minus Z W) in *.
  assert (ball := fun V => S13_scaled_curvature_in_ball p sigma sp W beta' q G V b0' large' q1 radius).
  destruct (kernel_decomposition p G) as [K [ker HU]]. set (U := minus G K) in *. exists (move W 1 U).
  assert (sU : same p (minus (move W 1 U) W) U) by (intros c d _ _; unfold minus, move; ring).
  assert (inC : complement p (minus (move W 1 U) W)).
  { intros Q kQ. rewrite (inner_same p _ U Q Q sU) by (intros c d _ _; reflexivity). auto. }
  assert (leastU : minimiser p (move W 1 U)).
  { intros A. apply Rle_trans with (2 := least A). apply Req_le.
    rewrite <- (S6_loss_constant p (move W 1 U) K 1 ker). apply loss_same.
    intros c d _ _. unfold U, G, move, minus. ring. }
  assert (q0 : q <= 1) by lra.
  split; [auto|]. split; [auto|]. intros k.
  apply (S17_certificate p W (move W 1 U) q mu Lambda beta (norm p (minus W (move W 1 U)))); auto; try lra.
  intros V. apply Rle_trans with (1 := ball V). apply Req_le.
  rewrite <- (hessian_along_kernel p (move W 1 U) K V 1 ker). apply hessian_same.
  intros c d _ _. unfold U, G, move, minus. ring.
Qed.
