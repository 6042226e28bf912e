(** * S13 in the plain norm and in scaled norms (docs/theory.md, S13)

    The first part splits every direction into one in the kernel and one orthogonal to it. *)

From Coq Require Import Reals Lra Lia List.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Curvature SelfConcordance Recession Nearby.
Import ListNotations.
Open Scope R_scope.

(** ** Orthogonal decomposition *)

Lemma inner_zero_of_norm2 p A B : norm2 p A = 0 -> inner p A B = 0.
Proof.
  intros z. assert (H := inner_Cauchy_Schwarz p A B). rewrite z, Rmult_0_l in H.
  apply Rsqr_0_uniq. apply Rle_antisym; [auto|apply Rle_0_sqr].
Qed.

(** U is a combination of the matrices in the list. *)
Fixpoint span p (As : list matrix) (U : matrix) : Prop :=
  match As with [] => same p U (fun _ _ => 0) | A :: rest => exists a, span p rest (move U a A) end.

Lemma span_same p As : forall U U', same p U U' -> span p As U -> span p As U'.
Proof.
  induction As as [|A As IH]; simpl; intros U U' E.
  - intros z c d Hc Hd. rewrite <- E by auto. now apply z.
  - intros [a H]. exists a. apply IH with (2 := H). intros c d Hc Hd. unfold move. now rewrite E.
Qed.

Lemma span_move p As : forall U b U', span p As U -> span p As U' -> span p As (move U b U').
Proof.
  induction As as [|A As IH]; simpl; intros U b U'.
  - intros z z' c d Hc Hd. unfold move. rewrite z, z' by auto. ring.
  - intros [a H] [a' H']. exists (a + b * a'). apply span_same with (2 := IH _ b _ H H').
    intros c d _ _. unfold move. ring.
Qed.

Lemma span_orthogonal p As : forall U Q, span p As U -> (forall A, In A As -> inner p A Q = 0) -> inner p U Q = 0.
Proof.
  induction As as [|A As IH]; simpl; intros U Q.
  - intros z _. rewrite (inner_same p U (fun _ _ => 0) Q Q z) by (intros c d _ _; reflexivity).
    apply Sum_zero. intros. apply Sum_zero. intros. ring.
  - intros [a H] perp. assert (E := IH _ Q H (fun A i => perp A (or_intror i))).
    rewrite inner_move_l, (perp A (or_introl eq_refl)) in E. lra.
Qed.

(** For a finite family of matrices: V = K + U with K orthogonal to all of them, and U a combination of them
    (Gram-Schmidt, one matrix after the other). *)
Lemma decomposition p (As : list matrix) : forall V, exists K,
  (forall A, In A As -> inner p A K = 0) /\ span p As (minus V K).
Proof.
  induction As as [|A As IH]; intros V.
  - exists V. split; [simpl; tauto|]. intros c d _ _. unfold minus. ring.
  - destruct (IH V) as [K [HK inU]]. destruct (IH A) as [k [Hk ink]].
    assert (split_A : forall Q, (forall B, In B As -> inner p B Q = 0) -> inner p A Q = inner p k Q).
    { intros Q perp. assert (H := span_orthogonal p As _ Q ink perp). rewrite inner_minus_l in H. lra. }
    destruct (Req_dec (norm2 p k) 0) as [z|nz].
    + exists K. split.
      * intros B [<-|i]; [|auto]. rewrite split_A by auto. now apply inner_zero_of_norm2.
      * exists 0. apply span_same with (2 := inU). intros c d _ _. unfold move. ring.
    + set (a := - inner p k K / norm2 p k). exists (move K a k).
      assert (perp : forall B, In B As -> inner p B (move K a k) = 0)
        by (intros B i; rewrite inner_move_r, HK, Hk by auto; ring).
      split.
      * intros B [<-|i]; [|auto]. rewrite split_A, inner_move_r by auto. unfold a. fold (norm2 p k). field. auto.
      * (* V - K - a k + a A = (V - K) + a (A - k) *)
        exists a. apply span_same with (2 := span_move p As _ a _ inU ink). intros c d _ _. unfold move, minus. ring.
Qed.

(** e_i x_n^T: <e_i x_n^T, V> = (V x_n)_i *)
Definition outer p (n i : nat) : matrix := fun c d => if Nat.eqb c i then input p n d else 0.

Lemma inner_outer_logit p n i V : (i < classes p)%nat -> inner p (outer p n i) V = logit p V n i.
Proof.
  intros Hi. unfold inner, outer, logit.
  rewrite (Sum_ext (classes p) _ (fun c => if Nat.eqb c i then Sum (features p) (fun d => V c d * input p n d) else 0)).
  - rewrite (Sum_pick (classes p) i (fun c => Sum (features p) (fun d => V c d * input p n d))) by auto. reflexivity.
  - intros c Hc. destruct (Nat.eqb c i).
    + apply Sum_ext. intros. ring.
    + apply Sum_zero. intros. ring.
Qed.

(** The kernel is what is orthogonal to (e_i - e_0) x_n^T for all classes i and samples n of positive weight. *)
Definition kernel_family p : list matrix :=
  flat_map (fun n => if Rlt_dec 0 (weight p n)
    then map (fun i => minus (outer p n i) (outer p n 0)) (seq 0 (classes p)) else []) (seq 0 (samples p)).

Lemma kernel_family_spec p V : (forall A, In A (kernel_family p) -> inner p A V = 0) <-> kernel p V.
Proof.
  assert (Hc := classes_pos p). split.
  - intros perp n Hn sn. exists (logit p V n 0). intros i Hi.
    assert (E : inner p (minus (outer p n i) (outer p n 0)) V = 0).
    { apply perp. apply in_flat_map. exists n. split; [apply in_seq; lia|].
      destruct (Rlt_dec 0 (weight p n)); [|contradiction]. apply in_map_iff. exists i. split; [auto|apply in_seq; lia]. }
    rewrite inner_minus_l, !inner_outer_logit in E by auto. lra.
  - intros ker A i. apply in_flat_map in i. destruct i as [n [Hn i]]. apply in_seq in Hn.
    destruct (Rlt_dec 0 (weight p n)) as [sn|]; [|contradiction]. apply in_map_iff in i. destruct i as [k [<- Hk]].
    apply in_seq in Hk. destruct (ker n) as [a const]; [lia|auto|].
    rewrite inner_minus_l, !inner_outer_logit, !const by lia. ring.
Qed.

(** Every direction is one in the kernel and one in its orthogonal complement. *)
Theorem kernel_decomposition p V : exists K, kernel p K /\ complement p (minus V K).
Proof.
  destruct (decomposition p (kernel_family p) V) as [K [HK inU]]. exists K. split.
  - now apply kernel_family_spec.
  - intros Q ker. apply (span_orthogonal p (kernel_family p)); auto. now apply kernel_family_spec.
Qed.

Lemma inner_ge p A B : - (norm p A * norm p B) <= inner p A B.
Proof.
  assert (H := inner_Cauchy_Schwarz p A B). rewrite <- !norm_sqr in H. rewrite <- Rsqr_mult in H.
  apply Rsqr_le_abs_0 in H. rewrite (Rabs_pos_eq (norm p A * norm p B)) in H.
  - apply Rabs_le_between in H. lra.
  - apply Rmult_le_pos; apply sqrt_pos.
Qed.

(** ** The theorem *)

Section Plain.
  Variable p : problem.
  Variables (W : matrix) (beta mu : R).
  Hypothesis beta_pos : 0 < beta.
  (** beta >= sqrt 2 max_n |x_n| *)
  Hypothesis beta_large : forall n, (n < samples p)%nat -> 0 < weight p n -> 2 * dot (features p) (input p n) (input p n) <= beta².
  Hypothesis mu_pos : 0 < mu.
  (** H(W) >= mu > 0 on the complement of the kernel *)
  Hypothesis curvature : forall U, complement p U -> mu * norm2 p U <= hessian p W U U.

  Notation q := (beta * norm p (gradient p W) / mu).
  Hypothesis q_small : q < 1.

  Let ranges U : complement p U -> ranges_below p U (beta * norm p U).
  Proof. intros _. apply S8_range_below_norm; [lra|exact beta_large]. Qed.

  Let curved U : complement p U -> mu * (norm p U)² <= hessian p W U U.
  Proof. intros HU. rewrite norm_sqr. auto. Qed.

  Let slope U : complement p U -> - (norm p (gradient p W) * norm p U) <= inner p (gradient p W) U.
  Proof. intros _. apply inner_ge. Qed.

  (** q < 1: a minimiser W* exists, unique in W + complement, with |W* - W| <= r = - log (1 - q) / beta and
      L(W) - (mu / beta^2) (q + (1 - q) log (1 - q)) <= L(W* ) <= L(W). *)
  Theorem S13 : exists M, minimiser p M /\ complement p (minus M W) /\
    norm p (minus M W) <= - ln (1 - q) / beta /\
    loss p W - mu / beta² * (q + (1 - q) * ln (1 - q)) <= loss p M <= loss p W /\
    (forall M', minimiser p M' -> complement p (minus M' W) -> same p M' M).
  Proof.
    assert (g0 : 0 <= norm p (gradient p W)) by apply sqrt_pos.
    assert (n0 : forall U, 0 <= norm p U) by (intros; apply sqrt_pos).
    destruct (nearby_minimiser p (complement p) (norm p) W beta mu _ (kernel_decomposition p) n0 beta_pos ranges mu_pos
      curved slope q_small) as [U [HU least]].
    assert (E : forall A, inner p (minus (move W 1 U) W) A = inner p U A)
      by (intros; rewrite inner_minus_l, inner_move_l; ring).
    exists (move W 1 U). repeat split; auto.
    - intros K ker. rewrite E. auto.
    - replace (norm p (minus (move W 1 U) W)) with (norm p U).
      + now apply (nearby_radius p (complement p) (norm p) W beta mu _ n0 beta_pos ranges mu_pos curved slope g0 q_small).
      + unfold norm, norm2. rewrite E, (inner_comm p U (minus _ _)), E. reflexivity.
    - apply (nearby_gap p (complement p) (norm p) W beta mu _ (kernel_decomposition p) n0 beta_pos ranges mu_pos
        curved slope q_small).
    - intros M' least' HM'. apply S6_unique_minimiser; auto. intros K ker.
      rewrite inner_minus_l, inner_move_l, (HU K ker). assert (H := HM' K ker). rewrite inner_minus_l in H. lra.
  Qed.

  Corollary S13_attained : attained p.
  Proof. destruct S13 as [M [least _]]. now exists M. Qed.

  (** In the ball of radius r the curvature is at least 1 - q times that at W. *)
  Theorem S13_curvature_in_ball U V : norm p U <= - ln (1 - q) / beta ->
    (1 - q) * hessian p W V V <= hessian p (move W 1 U) V V.
  Proof.
    intros close.
    refine (nearby_curvature p (fun _ => True) (norm p) W beta mu (norm p (gradient p W)) beta_pos _ q_small U V I close).
    intros U' _. apply S8_range_below_norm; [lra|exact beta_large].
  Qed.
End Plain.

(** ** The scaled form *)

Section Scaled.
  Variable p : problem.
  Variable sigma : nat -> R.
  Hypothesis sigma_pos : forall d, 0 < sigma d.

  (** V Sigma, and V Sigma^-1 *)
  Definition times_sigma (V : matrix) : matrix := fun c d => V c d * sigma d.
  Definition over_sigma (V : matrix) : matrix := fun c d => V c d / sigma d.

  (** The complement of the kernel in the inner product of |V|_Sigma = |V Sigma|. *)
  Definition scaled_complement (V : matrix) : Prop :=
    forall K, kernel p K -> inner p (times_sigma V) (times_sigma K) = 0.

  (** The problem in the features x / sigma. *)
  Definition over_sigma_problem : problem :=
    {| samples := samples p; classes := classes p; features := features p;
       input := fun n d => input p n d / sigma d; target := target p; weight := weight p;
       classes_pos := classes_pos p; weight_nonneg := weight_nonneg p;
       target_nonneg := target_nonneg p; target_sum := target_sum p |}.

  (** V x = (V Sigma) (Sigma^-1 x) *)
  Lemma logit_over_sigma V n i : logit over_sigma_problem (times_sigma V) n i = logit p V n i.
  Proof. apply Sum_ext. intros d Hd. simpl. unfold times_sigma. assert (P := sigma_pos d). field. lra. Qed.

  Lemma over_times V : same p (times_sigma (over_sigma V)) V.
  Proof. intros c d _ _. unfold times_sigma, over_sigma. assert (P := sigma_pos d). field. lra. Qed.

  Lemma kernel_over_sigma V : kernel over_sigma_problem (times_sigma V) <-> kernel p V.
  Proof.
    split; intros ker n Hn sn; destruct (ker n Hn sn) as [a const]; exists a; intros i Hi; specialize (const i Hi);
      rewrite logit_over_sigma in *; exact const.
  Qed.

  Lemma scaled_decomposition V : exists K, kernel p K /\ scaled_complement (minus V K).
  Proof.
    destruct (kernel_decomposition over_sigma_problem (times_sigma V)) as [K [ker orth]]. exists (over_sigma K).
    assert (back : same p (times_sigma (over_sigma K)) K) by apply over_times.
    split.
    - apply kernel_over_sigma. intros n Hn sn. destruct (ker n Hn sn) as [a const]. exists a. intros i Hi.
      rewrite (logit_same over_sigma_problem _ K n i back Hi). auto.
    - intros Q kQ. rewrite <- (orth (times_sigma Q)) by now apply kernel_over_sigma.
      change (inner over_sigma_problem (times_sigma (minus V (over_sigma K))) (times_sigma Q) =
        inner over_sigma_problem (minus (times_sigma V) K) (times_sigma Q)).
      apply inner_same; [|intros c d _ _; reflexivity]. intros c d Hc Hd. unfold minus.
      rewrite <- (back c d Hc Hd). unfold times_sigma. ring.
  Qed.

  Variables (W : matrix) (beta mu : R).
  Hypothesis beta_pos : 0 < beta.
  (** beta >= sqrt 2 max_n |Sigma^-1 x_n| *)
  Hypothesis beta_large : forall n, (n < samples p)%nat -> 0 < weight p n ->
    2 * Sum (features p) (fun d => (input p n d / sigma d)²) <= beta².
  Hypothesis mu_pos : 0 < mu.
  (** H(W) >= mu in |.|_Sigma *)
  Hypothesis curvature : forall U, scaled_complement U -> mu * norm2 p (times_sigma U) <= hessian p W U U.

  (** q = beta |g Sigma^-1| / mu *)
  Notation q := (beta * norm p (over_sigma (gradient p W)) / mu).
  Hypothesis q_small : q < 1.

  Theorem S13_scaled : exists M, minimiser p M /\ scaled_complement (minus M W) /\
    norm p (times_sigma (minus M W)) <= - ln (1 - q) / beta /\
    loss p W - mu / beta² * (q + (1 - q) * ln (1 - q)) <= loss p M <= loss p W.
  Proof.
    assert (g0 : 0 <= norm p (over_sigma (gradient p W))) by apply sqrt_pos.
    assert (n0 : forall U, 0 <= norm p (times_sigma U)) by (intros; apply sqrt_pos).
    assert (ranges : forall U, scaled_complement U -> ranges_below p U (beta * norm p (times_sigma U))).
    { intros U _ n Hn sn i j Hi Hj. rewrite <- !logit_over_sigma.
      apply (S8_range_below_norm over_sigma_problem (times_sigma U) beta (Rlt_le _ _ beta_pos)); auto. }
    assert (curved : forall U, scaled_complement U -> mu * (norm p (times_sigma U))² <= hessian p W U U)
      by (intros U HU; rewrite norm_sqr; auto).
    assert (slope : forall U, scaled_complement U ->
      - (norm p (over_sigma (gradient p W)) * norm p (times_sigma U)) <= inner p (gradient p W) U).
    { intros U _. apply Rle_trans with (1 := inner_ge p (over_sigma (gradient p W)) (times_sigma U)). apply Req_le.
      apply Sum_ext. intros c Hc. apply Sum_ext. intros d Hd. unfold over_sigma, times_sigma. assert (P := sigma_pos d).
      field. lra. }
    destruct (nearby_minimiser p scaled_complement (fun U => norm p (times_sigma U)) W beta mu _ scaled_decomposition n0
      beta_pos ranges mu_pos curved slope q_small) as [U [HU least]].
    assert (E : same p (times_sigma (minus (move W 1 U) W)) (times_sigma U))
      by (intros c d _ _; unfold times_sigma, minus, move; ring).
    exists (move W 1 U). repeat split; auto.
    - intros K ker. rewrite (inner_same p _ (times_sigma U) _ (times_sigma K) E) by (intros c d _ _; reflexivity). auto.
    - replace (norm p (times_sigma (minus (move W 1 U) W))) with (norm p (times_sigma U)).
      + now apply (nearby_radius p scaled_complement (fun U => norm p (times_sigma U)) W beta mu _ n0 beta_pos ranges mu_pos
          curved slope g0 q_small).
      + unfold norm, norm2. f_equal. symmetry. now apply inner_same.
    - apply (nearby_gap p scaled_complement (fun U => norm p (times_sigma U)) W beta mu _ scaled_decomposition n0 beta_pos
        ranges mu_pos curved slope q_small).
  Qed.
End Scaled.
