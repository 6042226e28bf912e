(** S6 in full: what the kernel and its complement look like, their dimensions, and coordinates without the gauge. *)

From Coq Require Import Reals Lra Lia.
From Softmax Require Import Sums Problem Softmax Gradient Curvature Bases.
Open Scope R_scope.

(** ** Sums over two ranges and over pairs *)

Lemma Sum_app a b f : Sum (a + b) f = Sum a f + Sum b (fun i => f (a + i)%nat).
Proof.
  induction b as [|b IH]; [rewrite Nat.add_0_r; simpl; lra|].
  rewrite Nat.add_succ_r. simpl. rewrite IH. lra.
Qed.

(** Pairs (a, r) with r < B are numbered i = a B + r, so that a = i / B and r = i mod B. *)
Lemma Sum_pairs A B (f : nat -> nat -> R) :
  Sum (A * B) (fun i => f (i / B)%nat (i mod B)%nat) = Sum A (fun a => Sum B (fun r => f a r)).
Proof.
  induction A as [|A IH]; [reflexivity|]. simpl Sum at 2. rewrite <- IH.
  replace (S A * B)%nat with (A * B + B)%nat by lia. rewrite Sum_app. f_equal. apply Sum_ext. intros r Hr.
  rewrite Nat.div_add_l, Nat.div_small, Nat.add_0_r by lia.
  rewrite Nat.add_comm, Nat.mod_add, Nat.mod_small by lia. reflexivity.
Qed.

Lemma delta_pairs B i j :
  (0 < B)%nat -> delta (i / B) (j / B) * delta (i mod B) (j mod B) = delta i j.
Proof.
  intros HB. unfold delta.
  destruct (Nat.eqb_spec i j) as [->|E]; [rewrite !Nat.eqb_refl; ring|].
  destruct (Nat.eqb_spec (i / B) (j / B)) as [E1|]; [|ring].
  destruct (Nat.eqb_spec (i mod B) (j mod B)) as [E2|]; [|ring].
  exfalso. apply E. rewrite (Nat.div_mod i B), (Nat.div_mod j B), E1, E2 by lia. reflexivity.
Qed.

Section Kernel.
  Variable p : problem.
  Notation N := (samples p).
  Notation C := (classes p).
  Notation D := (features p).
  Notation X := (input p).
  Notation s := (weight p).

  (** The row space: combinations of the rows x_n with s_n > 0, which are those of s_n x_n. *)
  Definition row_space (v : nat -> R) : Prop :=
    exists a, forall d, (d < D)%nat -> v d = Sum N (fun n => a n * (s n * X n d)).

  (** Orthogonal to every row with s_n > 0. *)
  Definition unseen (v : nat -> R) : Prop := forall n, (n < N)%nat -> 0 < s n -> dot D v (X n) = 0.

  (** 1^T V = 0 *)
  Definition centred_classes (V : matrix) : Prop := forall d, (d < D)%nat -> Sum C (fun c => V c d) = 0.

  Lemma row_space_linear : linear D row_space.
  Proof.
    split; [|split].
    - intros u v H [a Ha]. exists a. intros d Hd. rewrite <- (H d Hd). now apply Ha.
    - exists (fun _ => 0). intros d Hd. symmetry. apply Sum_zero. intros. ring.
    - intros u v t [a Ha] [b Hb]. exists (fun n => a n + t * b n). intros d Hd. rewrite (Ha d Hd), (Hb d Hd).
      rewrite <- Sum_scal, <- Sum_plus. apply Sum_ext. intros. ring.
  Qed.

  (** <v, u> = 0 for v in the row space and u orthogonal to the rows. *)
  Lemma row_space_unseen v u : row_space v -> unseen u -> dot D v u = 0.
  Proof.
    intros [a Ha] Hu. rewrite (dot_ext D v (fun d => Sum N (fun n => a n * (s n * X n d))) u u);
      [|exact Ha|intros ? _; reflexivity].
    rewrite (dot_Sum_l D N (fun n d => a n * (s n * X n d))). apply Sum_zero. intros n Hn.
    rewrite (dot_scal_l D (a n) (fun d => s n * X n d)), dot_scal_l, dot_comm.
    destruct (weight_nonneg p n Hn) as [Hs|Hs]; [rewrite (Hu n Hn Hs)|rewrite <- Hs]; ring.
  Qed.

  (** R is the rank of X (rows with s_n > 0): the row space has an orthonormal basis of R vectors. *)
  Definition row_basis k (q : nat -> nat -> R) : Prop :=
    orthonormal D k q /\ (forall i, (i < k)%nat -> row_space (q i)) /\
    forall v, row_space v -> equal D v (part D k q v).
  Definition rank (R : nat) : Prop := exists q, row_basis R q.

  Theorem rank_exists : exists R, rank R.
  Proof.
    destruct (Gram_Schmidt D 0 (fun _ _ => 0) (fun n d => s n * X n d) N) as [R [q [_ [_ [Hq [Hspan HP]]]]]].
    { intros i j Hi. lia. }
    exists R, q. split; [exact Hq|split].
    - apply (HP row_space row_space_linear); [intros; lia|]. intros n Hn. exists (fun m => delta m n).
      intros d Hd. rewrite <- (delta_pick N n (fun m => s m * X m d) Hn). apply Sum_ext. intros. ring.
    - intros v [a Ha] d Hd. rewrite (Ha d Hd).
      transitivity (Sum N (fun n => a n * part D R q (fun d => s n * X n d) d)).
      + apply Sum_ext. intros n Hn. f_equal. now apply (Hspan n Hn).
      + unfold part. rewrite (Sum_ext N _ (fun n => Sum R (fun i => a n * (dot D (fun d => s n * X n d) (q i) * q i d)))).
        2: { intros n Hn. now rewrite <- Sum_scal. }
        rewrite Sum_swap. apply Sum_ext. intros i Hi.
        rewrite (dot_ext D v (fun d => Sum N (fun n => a n * (s n * X n d))) (q i) (q i));
          [|exact Ha|intros ? _; reflexivity].
        rewrite (dot_Sum_l D N (fun n d => a n * (s n * X n d))), <- Sum_scal_r. apply Sum_ext. intros n Hn.
        rewrite (dot_scal_l D (a n) (fun d => s n * X n d)). ring.
  Qed.

  (** Two bases have the same number of vectors: count sum_ij <q_i, r_j>^2 twice. *)
  Lemma basis_count R R' q r :
    orthonormal D R q -> (forall i, (i < R)%nat -> equal D (q i) (part D R' r (q i))) ->
    INR R = Sum R (fun i => Sum R' (fun j => (dot D (q i) (r j))²)).
  Proof.
    intros Hq Hr. transitivity (Sum R (fun _ => 1)); [rewrite Sum_const; ring|]. apply Sum_ext. intros i Hi.
    assert (E : dot D (q i) (q i) = 1) by (rewrite Hq by assumption; unfold delta; now rewrite Nat.eqb_refl).
    rewrite <- E, (dot_ext D (q i) (part D R' r (q i)) (q i) (q i)); [|now apply Hr|intros ? _; reflexivity].
    unfold part. rewrite (dot_Sum_l D R' (fun j d => dot D (q i) (r j) * r j d)). apply Sum_ext. intros j Hj.
    rewrite dot_scal_l, (dot_comm D (r j)). reflexivity.
  Qed.

  Theorem rank_unique R R' : rank R -> rank R' -> R = R'.
  Proof.
    intros [q [Hq [Hin Hspan]]] [r [Hr [Hin' Hspan']]]. apply INR_eq.
    rewrite (basis_count R R' q r), (basis_count R' R r q); auto.
    rewrite Sum_swap. apply Sum_ext. intros. apply Sum_ext. intros. now rewrite dot_comm.
  Qed.

  (** The row space is what is orthogonal to everything orthogonal to the rows. *)
  Lemma row_space_iff v : row_space v <-> forall u, unseen u -> dot D v u = 0.
  Proof.
    split; [intros Hv u Hu; now apply row_space_unseen|]. intros H.
    destruct rank_exists as [R [q [Hq [Hin Hspan]]]].
    set (w := fun d => v d - part D R q v d).
    assert (Hpart : row_space (part D R q v)) by (apply (linear_Sum D row_space R q); [apply row_space_linear|exact Hin]).
    assert (Hwq : forall i, (i < R)%nat -> dot D w (q i) = 0).
    { intros i Hi. unfold w. rewrite dot_minus_l, dot_part by assumption. ring. }
    assert (Hw : unseen w).
    { intros n Hn Hs.
      assert (E : dot D w (fun d => s n * X n d) = 0).
      { assert (Hx : row_space (fun d => s n * X n d)).
        { exists (fun m => delta m n). intros d Hd. rewrite <- (delta_pick N n (fun m => s m * X m d) Hn).
          apply Sum_ext. intros. ring. }
        rewrite dot_comm, (dot_ext D _ _ w w (Hspan _ Hx)) by (intros ? _; reflexivity).
        unfold part. rewrite (dot_Sum_l D R (fun i d => dot D (fun d => s n * X n d) (q i) * q i d)).
        apply Sum_zero. intros i Hi. rewrite dot_scal_l, (dot_comm D (q i)), Hwq by assumption. ring. }
      rewrite dot_comm, dot_scal_l, dot_comm in E. apply Rmult_integral in E. destruct E; [lra|assumption]. }
    assert (Hzero : equal D w (fun _ => 0)).
    { apply dot_self_zero. unfold w at 1. rewrite dot_minus_l, (H w Hw), (row_space_unseen _ w Hpart Hw). ring. }
    destruct row_space_linear as [Hext _]. apply (Hext (part D R q v)); [|exact Hpart].
    intros d Hd. specialize (Hzero d Hd). unfold w in Hzero. lra.
  Qed.

  (** ** The kernel *)

  (** K = {1 v^T} (+) {V0 : 1^T V0 = 0, rows orthogonal to the rows of X} *)
  Theorem S6_kernel_decomposition V :
    kernel p V <-> exists v V0, same p V (move (gauge v) 1 V0) /\ centred_classes V0 /\
      forall c, (c < C)%nat -> unseen (V0 c).
  Proof.
    split.
    - intros HV. set (v := fun d => / INR C * Sum C (fun c => V c d)).
      assert (HC : 0 < INR C) by apply (lt_0_INR _ (classes_pos p)).
      exists v, (fun c d => V c d - v d). split; [|split].
      + intros c d _ _. unfold move, gauge. ring.
      + intros d Hd. rewrite Sum_minus, Sum_const. unfold v. field. lra.
      + intros c Hc n Hn Hs. destruct (HV n Hn Hs) as [a Ha].
        rewrite (dot_minus_l D (V c) v). change (dot D (V c) (X n)) with (logit p V n c). rewrite (Ha c Hc).
        (* the mean of equal numbers *)
        assert (E : dot D v (X n) = a); [|rewrite E; ring].
        unfold v. rewrite (dot_scal_l D (/ INR C) (fun d => Sum C (fun c => V c d))), (dot_Sum_l D C V).
        rewrite (Sum_ext C _ (fun _ => a)) by (intros i Hi; exact (Ha i Hi)). rewrite Sum_const. field. lra.
    - intros [v [V0 [E [_ H]]]] n Hn Hs. exists (dot D v (X n)). intros c Hc.
      rewrite (logit_same p V (move (gauge v) 1 V0)), logit_move by assumption.
      change (logit p V0 n c) with (dot D (V0 c) (X n)). rewrite (H c Hc n Hn Hs). unfold logit, gauge, dot. ring.
  Qed.

  (** The two parts meet in 0 alone: they are orthogonal. *)
  Theorem S6_parts_orthogonal v V0 : centred_classes V0 -> inner p (gauge v) V0 = 0.
  Proof.
    intros H. unfold inner, gauge. rewrite Sum_swap. apply Sum_zero. intros d Hd. rewrite Sum_scal, (H d Hd). ring.
  Qed.

  (** The complement: 1^T V = 0 and rows in the row space of X. *)
  Theorem S6_complement V :
    complement p V <-> centred_classes V /\ forall c, (c < C)%nat -> row_space (V c).
  Proof.
    split.
    - intros HV. split.
      + intros d Hd.
        assert (H : inner p V (gauge (delta d)) = 0).
        { apply HV. apply S6_kernel_decomposition. exists (delta d), (fun _ _ => 0). split; [|split].
          - intros c e _ _. unfold move. ring.
          - intros e _. apply Sum_zero. reflexivity.
          - intros c _ n _ _. unfold dot. apply Sum_zero. intros. ring. }
        rewrite <- H. apply Sum_ext. intros c Hc. symmetry. apply (dot_unit D (V c) d Hd).
      + intros c Hc. apply row_space_iff. intros u Hu.
        set (K := fun i d => if Nat.eqb i c then u d else 0).
        assert (H : inner p V K = 0).
        { apply HV. intros n Hn Hs. exists 0. intros i Hi. unfold logit, K. destruct (Nat.eqb i c).
          - apply (Hu n Hn Hs).
          - apply Sum_zero. intros. ring. }
        rewrite <- H, <- (Sum_pick C c (fun c => dot D (V c) u) Hc). apply Sum_ext. intros i Hi.
        unfold K. destruct (Nat.eqb i c); [reflexivity|]. symmetry. apply Sum_zero. intros. ring.
    - intros [Hsum Hrow] K HK. apply S6_kernel_decomposition in HK. destruct HK as [v [V0 [E [H0 Hu]]]].
      rewrite (inner_same p V V K (move (gauge v) 1 V0)); [|intros ? ? _ _; reflexivity|exact E].
      rewrite inner_move_r, inner_comm, (S6_parts_orthogonal v V Hsum).
      replace (inner p V V0) with 0; [ring|]. symmetry. apply Sum_zero. intros c Hc.
      apply (row_space_unseen (V c) (V0 c)); auto.
  Qed.

  (** ** Dimensions *)

  (** A space of matrices has dimension k: it has an orthonormal basis of k matrices. *)
  Definition dimension (E : matrix -> Prop) (k : nat) : Prop :=
    exists B : nat -> matrix, (forall i, (i < k)%nat -> E (B i)) /\
      (forall i j, (i < k)%nat -> (j < k)%nat -> inner p (B i) (B j) = delta i j) /\
      forall V, E V -> same p V (fun c d => Sum k (fun i => inner p V (B i) * B i c d)).

  (** h b^T *)
  Definition outer (h b : nat -> R) : matrix := fun c d => h c * b d.

  Lemma inner_outer_r V h b : inner p V (outer h b) = Sum C (fun c => h c * dot D (V c) b).
  Proof.
    apply Sum_ext. intros c Hc. unfold outer, dot. rewrite <- Sum_scal. apply Sum_ext. intros. ring.
  Qed.

  Lemma inner_outers h b h' b' : inner p (outer h b) (outer h' b') = dot C h h' * dot D b b'.
  Proof.
    rewrite inner_outer_r. unfold dot at 2. rewrite <- Sum_scal_r. apply Sum_ext. intros c Hc.
    unfold outer. rewrite dot_scal_l. ring.
  Qed.

  (** Coordinates in the basis h_a b_r^T of all matrices. *)
  Lemma outer_coordinates h b :
    (forall v, equal C v (part C C h v)) -> (forall v, equal D v (part D D b v)) ->
    forall V, same p V (fun c d => Sum C (fun a => Sum D (fun r => inner p V (outer (h a) (b r)) * outer (h a) (b r) c d))).
  Proof.
    intros Hh Hb V c d Hc Hd. rewrite (Hb (V c) d Hd). unfold part. rewrite Sum_swap. apply Sum_ext. intros r Hr.
    rewrite (Hh (fun c => dot D (V c) (b r)) c Hc). unfold part. rewrite <- Sum_scal_r. apply Sum_ext. intros a Ha.
    rewrite inner_outer_r. unfold outer, dot at 1.
    rewrite (Sum_ext C (fun c => dot D (V c) (b r) * h a c) (fun c => h a c * dot D (V c) (b r))) by (intros; ring).
    ring.
  Qed.

  (** A constant vector of length 1: C t^2 = 1. *)
  Lemma constant_unit_vector : exists t, INR C * (t * t) = 1.
  Proof.
    assert (HC : 0 < INR C) by apply (lt_0_INR _ (classes_pos p)). exists (/ sqrt (INR C)).
    rewrite <- (sqrt_sqrt (INR C)) at 1 by lra. field. apply Rgt_not_eq, sqrt_lt_R0, HC.
  Qed.

  (** Bases of R^C and of R^D that fit: h_0 is a multiple of 1, and b_0, ..., b_(R-1) span the row space. *)
  Lemma fitting_bases R :
    rank R -> exists h b, (R <= D)%nat /\
      orthonormal C C h /\ orthonormal D D b /\
      (forall v, equal C v (part C C h v)) /\ (forall v, equal D v (part D D b v)) /\
      (forall r, (r < D)%nat -> kernel p (outer (h 0%nat) (b r))) /\
      (forall a r, (a < C)%nat -> (R <= r < D)%nat -> kernel p (outer (h a) (b r))) /\
      (forall a r, (0 < a < C)%nat -> (r < R)%nat -> complement p (outer (h a) (b r))).
  Proof.
    intros [q [Hq [Hin Hspan]]].
    destruct constant_unit_vector as [t Ht].
    destruct (completed_basis C 1 (fun _ _ => t)) as [h [_ [Hh0 [Hh Hhc]]]].
    { intros i j Hi Hj. replace i with 0%nat by lia. replace j with 0%nat by lia.
      unfold dot, delta. simpl Nat.eqb. rewrite Sum_const. exact Ht. }
    assert (Eh0 := Hh0 0%nat Nat.lt_0_1).
    destruct (completed_basis D R q Hq) as [b [HR [Hbq [Hb Hbc]]]].
    exists h, b. repeat (split; [assumption|]). split; [|split].
    - intros r Hr n Hn Hs. exists (t * dot D (b r) (X n)). intros i Hi. unfold logit, outer. rewrite Eh0.
      unfold dot. rewrite <- Sum_scal. apply Sum_ext. intros. ring.
    - intros a r Ha Hr.
      assert (Hun : unseen (b r)).
      { intros n Hn Hs.
        assert (E : dot D (fun d => s n * X n d) (b r) = 0).
        { assert (Hx : row_space (fun d => s n * X n d)).
          { exists (fun m => delta m n). intros d Hd. rewrite <- (delta_pick N n (fun m => s m * X m d) Hn).
            apply Sum_ext. intros. ring. }
          rewrite (dot_ext D _ _ (b r) (b r) (Hspan _ Hx)) by (intros ? _; reflexivity).
          unfold part. rewrite (dot_Sum_l D R (fun i d => dot D (fun d => s n * X n d) (q i) * q i d)).
          apply Sum_zero. intros i Hi. rewrite dot_scal_l, <- (Hbq i Hi), (Hb i r) by lia.
          unfold delta. destruct (Nat.eqb_spec i r); [lia|ring]. }
        rewrite dot_scal_l, dot_comm in E. apply Rmult_integral in E. destruct E; [lra|assumption]. }
      intros n Hn Hs. exists 0. intros i Hi. unfold logit, outer.
      rewrite (Sum_ext D _ (fun d => h a i * (b r d * X n d))) by (intros; ring).
      rewrite Sum_scal. fold (dot D (b r) (X n)). rewrite (Hun n Hn Hs). ring.
    - intros a r Ha Hr. apply S6_complement. split.
      + intros d Hd. unfold outer. rewrite Sum_scal_r.
        assert (E : dot C (h a) (h 0%nat) = 0).
        { rewrite (Hh a 0%nat) by lia. unfold delta. destruct (Nat.eqb_spec a 0); [lia|reflexivity]. }
        rewrite Eh0 in E. unfold dot in E. rewrite Sum_scal_r in E. apply Rmult_integral in E.
        destruct E as [->|E]; [ring|]. rewrite E in Ht. lra.
      + intros c Hc. destruct row_space_linear as [Hext [H0 Hlin]].
        apply (Hext (fun d => 0 + h a c * b r d)); [intros d _; unfold outer; ring|].
        apply Hlin; [exact H0|]. rewrite (Hbq r Hr). now apply Hin.
  Qed.

  Lemma Sum_split_first n f : (0 < n)%nat -> Sum n f = f 0%nat + Sum (n - 1) (fun i => f (1 + i)%nat).
  Proof. intros H. replace n with (1 + (n - 1))%nat at 1 by lia. rewrite Sum_app. simpl. lra. Qed.

  Lemma Sum_split n k f : (k <= n)%nat -> Sum n f = Sum k f + Sum (n - k) (fun i => f (k + i)%nat).
  Proof. intros H. replace n with (k + (n - k))%nat at 1 by lia. apply Sum_app. Qed.

  (** dim of the complement = (C - 1) R *)
  Theorem S6_complement_dimension R : rank R -> dimension (complement p) ((C - 1) * R).
  Proof.
    intros HR. destruct (fitting_bases R HR) as [h [b [HRD [Hh [Hb [Hhc [Hbc [K0 [K1 K2]]]]]]]]].
    assert (HC := classes_pos p).
    assert (Hidx : forall i, (i < (C - 1) * R)%nat -> (0 < R)%nat /\ (i / R < C - 1)%nat /\ (i mod R < R)%nat).
    { intros i Hi. assert (0 < R)%nat by (destruct R; lia). split; [assumption|].
      split; [apply Nat.div_lt_upper_bound; lia|apply Nat.mod_upper_bound; lia]. }
    exists (fun i => outer (h (1 + i / R)%nat) (b (i mod R)%nat)). split; [|split].
    - intros i Hi. destruct (Hidx i Hi) as [? [? ?]]. apply K2; lia.
    - intros i j Hi Hj. destruct (Hidx i Hi) as [? [? ?]]. destruct (Hidx j Hj) as [? [? ?]].
      rewrite inner_outers, Hh, Hb by lia. rewrite <- (delta_pairs R i j) by assumption. reflexivity.
    - intros V HV c d Hc Hd. rewrite (outer_coordinates h b Hhc Hbc V c d Hc Hd).
      rewrite (Sum_pairs (C - 1) R (fun a r => inner p V (outer (h (1 + a)%nat) (b r)) * outer (h (1 + a)%nat) (b r) c d)).
      rewrite Sum_split_first by assumption.
      rewrite Sum_zero, Rplus_0_l by (intros r Hr; rewrite (HV _ (K0 r Hr)); ring).
      apply Sum_ext. intros a Ha. rewrite (Sum_split D R) by assumption.
      rewrite (Sum_zero (D - R)); [ring|]. intros r Hr. rewrite (HV _ (K1 (1 + a)%nat (R + r)%nat ltac:(lia) ltac:(lia))). ring.
  Qed.

  (** dim of the kernel = D + (C - 1) (D - R) *)
  Theorem S6_kernel_dimension R : rank R -> dimension (kernel p) (D + (C - 1) * (D - R)).
  Proof.
    intros HR. destruct (fitting_bases R HR) as [h [b [HRD [Hh [Hb [Hhc [Hbc [K0 [K1 K2]]]]]]]]].
    assert (HC := classes_pos p). set (M := (D - R)%nat).
    assert (Hidx : forall i, (D <= i < D + (C - 1) * M)%nat ->
      (0 < M)%nat /\ ((i - D) / M < C - 1)%nat /\ ((i - D) mod M < M)%nat).
    { intros i Hi. assert (0 < M)%nat by (destruct M; lia). split; [assumption|].
      split; [apply Nat.div_lt_upper_bound; lia|apply Nat.mod_upper_bound; lia]. }
    exists (fun i => if Nat.ltb i D then outer (h 0%nat) (b i)
      else outer (h (1 + (i - D) / M)%nat) (b (R + (i - D) mod M)%nat)). split; [|split].
    - intros i Hi. destruct (Nat.ltb_spec i D); [now apply K0|].
      destruct (Hidx i ltac:(lia)) as [? [? ?]]. apply K1; unfold M in *; lia.
    - intros i j Hi Hj. destruct (Nat.ltb_spec i D), (Nat.ltb_spec j D); rewrite inner_outers.
      + rewrite Hh, Hb by lia. unfold delta at 1. simpl. ring.
      + destruct (Hidx j ltac:(lia)) as [? [? ?]]. rewrite Hh by lia.
        unfold delta. destruct (Nat.eqb_spec i j); [lia|]. simpl. ring.
      + destruct (Hidx i ltac:(lia)) as [? [? ?]]. rewrite Hh by lia.
        unfold delta. destruct (Nat.eqb_spec i j); [lia|]. simpl. ring.
      + destruct (Hidx i ltac:(lia)) as [? [? ?]]. destruct (Hidx j ltac:(lia)) as [? [? ?]].
        rewrite Hh, Hb by (unfold M in *; lia).
        transitivity (delta (i - D) (j - D)).
        * rewrite <- (delta_pairs M (i - D) (j - D)) by assumption.
          change (delta (1 + (i - D) / M) (1 + (j - D) / M)) with (delta ((i - D) / M) ((j - D) / M)).
          f_equal. unfold delta.
          destruct (Nat.eqb_spec (R + (i - D) mod M) (R + (j - D) mod M)), (Nat.eqb_spec ((i - D) mod M) ((j - D) mod M));
            lia || reflexivity.
        * unfold delta. destruct (Nat.eqb_spec (i - D) (j - D)), (Nat.eqb_spec i j); lia || reflexivity.
    - intros V HV c d Hc Hd. rewrite (outer_coordinates h b Hhc Hbc V c d Hc Hd).
      rewrite Sum_app, Sum_split_first by assumption. f_equal.
      + apply Sum_ext. intros r Hr. destruct (Nat.ltb_spec r D); [reflexivity|lia].
      + rewrite (Sum_ext ((C - 1) * M) _ (fun i => inner p V (outer (h (1 + i / M)%nat) (b (R + i mod M)%nat))
          * outer (h (1 + i / M)%nat) (b (R + i mod M)%nat) c d)).
        2: { intros i Hi. destruct (Nat.ltb_spec (D + i) D); [lia|].
             replace (D + i - D)%nat with i by lia. reflexivity. }
        rewrite (Sum_pairs (C - 1) M (fun a r => inner p V (outer (h (1 + a)%nat) (b (R + r)%nat))
          * outer (h (1 + a)%nat) (b (R + r)%nat) c d)).
        apply Sum_ext. intros a Ha. rewrite (Sum_split D R) by assumption. fold M.
        rewrite (Sum_zero R); [ring|]. intros r Hr.
        rewrite inner_comm, (K2 (1 + a)%nat r ltac:(lia) Hr V HV). ring.
  Qed.

  (** The dimension is a number of the space alone. *)
  Theorem dimension_unique (E : matrix -> Prop) k k' : dimension E k -> dimension E k' -> k = k'.
  Proof.
    assert (Hcount : forall k k' (A B : nat -> matrix),
      (forall i j, (i < k)%nat -> (j < k)%nat -> inner p (A i) (A j) = delta i j) ->
      (forall i, (i < k)%nat -> same p (A i) (fun c d => Sum k' (fun j => inner p (A i) (B j) * B j c d))) ->
      INR k = Sum k (fun i => Sum k' (fun j => (inner p (A i) (B j))²))).
    { clear. intros k k' A B HA HB. transitivity (Sum k (fun _ => 1)); [rewrite Sum_const; ring|].
      apply Sum_ext. intros i Hi.
      assert (E : inner p (A i) (A i) = 1) by (rewrite HA by assumption; unfold delta; now rewrite Nat.eqb_refl).
      rewrite <- E at 1. rewrite (inner_same p (A i) (A i) (A i) _ (fun c d _ _ => eq_refl) (HB i Hi)).
      unfold inner at 1.
      rewrite (Sum_ext C _ (fun c => Sum k' (fun j => inner p (A i) (B j) * Sum D (fun d => A i c d * B j c d)))).
      - rewrite Sum_swap. apply Sum_ext. intros j Hj. rewrite Sum_scal. reflexivity.
      - intros c Hc. rewrite (Sum_ext D _ (fun d => Sum k' (fun j => inner p (A i) (B j) * (A i c d * B j c d)))).
        + rewrite Sum_swap. apply Sum_ext. intros. apply Sum_scal.
        + intros d Hd. rewrite <- Sum_scal. apply Sum_ext. intros. ring. }
    intros [A [HA [HAo HAs]]] [B [HB [HBo HBs]]]. apply INR_eq.
    rewrite (Hcount k k' A B), (Hcount k' k B A); auto.
    rewrite Sum_swap. apply Sum_ext. intros. apply Sum_ext. intros. now rewrite inner_comm.
  Qed.

  (** ** Helmert's coordinates *)

  (** Q is (C - 1) x C with Q Q^T = I and Q 1 = 0. *)
  Definition Helmert (Q : nat -> nat -> R) : Prop :=
    orthonormal C (C - 1) Q /\ forall i, (i < C - 1)%nat -> Sum C (Q i) = 0.

  Theorem S6_Helmert_exists : exists Q, Helmert Q.
  Proof.
    destruct constant_unit_vector as [t Ht].
    destruct (completed_basis C 1 (fun _ _ => t)) as [g [_ [Hg0 [Hg _]]]].
    { intros i j Hi Hj. replace i with 0%nat by lia. replace j with 0%nat by lia.
      unfold dot, delta. simpl Nat.eqb. rewrite Sum_const. exact Ht. }
    exists (fun i => g (1 + i)%nat). split.
    - intros i j Hi Hj. rewrite Hg by lia. reflexivity.
    - intros i Hi. assert (E : dot C (g (1 + i)%nat) (g 0%nat) = 0) by (rewrite Hg by lia; reflexivity).
      rewrite (Hg0 0%nat Nat.lt_0_1) in E. unfold dot in E. rewrite Sum_scal_r in E.
      apply Rmult_integral in E. destruct E as [E|E]; [exact E|]. rewrite E in Ht. lra.
  Qed.

  (** V = Q^T (Q V) wherever 1^T V = 0. *)
  Theorem S6_Helmert_coordinates Q V :
    Helmert Q -> centred_classes V ->
    same p V (fun c d => Sum (C - 1) (fun i => Q i c * Sum C (fun k => Q i k * V k d))).
  Proof.
    intros [HQ HQ1] HV.
    destruct constant_unit_vector as [t Ht].
    (* with a multiple of 1 in front, Q is a basis of R^C *)
    set (g := fun i c => match i with O => t | S i => Q i c end).
    assert (Hg : orthonormal C C g).
    { intros i j Hi Hj. destruct i as [|i], j as [|j]; unfold g, dot.
      - rewrite Sum_const. exact Ht.
      - rewrite Sum_scal, HQ1 by lia. unfold delta. simpl. ring.
      - rewrite Sum_scal_r, HQ1 by lia. unfold delta. simpl. ring.
      - apply (HQ i j); lia. }
    destruct (completed_basis C C g Hg) as [b [_ [Hbg [_ Hbc]]]].
    intros c d Hc Hd. rewrite (Hbc (fun c => V c d) c Hc) at 1. unfold part.
    rewrite Sum_split_first by apply classes_pos. rewrite (Hbg 0%nat (classes_pos p)).
    replace (dot C (fun c => V c d) (g 0%nat)) with 0.
    2: { unfold dot, g. rewrite Sum_scal_r, (HV d Hd). ring. }
    rewrite Rmult_0_l, Rplus_0_l. apply Sum_ext. intros i Hi. rewrite (Hbg (1 + i)%nat) by lia.
    unfold g, dot. simpl. rewrite Rmult_comm. f_equal. apply Sum_ext. intros. ring.
  Qed.
End Kernel.
