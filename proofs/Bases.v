(** Orthonormal systems of vectors: the Gram-Schmidt method, and as many vectors as dimensions. *)

From Coq Require Import Reals Lra Lia.
From Softmax Require Import Sums.
Open Scope R_scope.

(** Vectors with m entries; q i is the i-th vector of a system of k. *)
Definition equal (m : nat) (u v : nat -> R) : Prop := forall d, (d < m)%nat -> u d = v d.
Definition delta (i j : nat) : R := if Nat.eqb i j then 1 else 0.
Definition orthonormal (m k : nat) (q : nat -> nat -> R) : Prop :=
  forall i j, (i < k)%nat -> (j < k)%nat -> dot m (q i) (q j) = delta i j.

(** sum_i <v, q_i> q_i: the part of v that the system spans. *)
Definition part (m k : nat) (q : nat -> nat -> R) (v : nat -> R) (d : nat) : R := Sum k (fun i => dot m v (q i) * q i d).

(** ** Inner products of sums *)

Lemma dot_plus_l m u v w a : dot m (fun d => u d + a * v d) w = dot m u w + a * dot m v w.
Proof. unfold dot. rewrite <- Sum_scal, <- Sum_plus. apply Sum_ext. intros. ring. Qed.

Lemma dot_minus_l m u v w : dot m (fun d => u d - v d) w = dot m u w - dot m v w.
Proof. unfold dot. rewrite <- Sum_minus. apply Sum_ext. intros. ring. Qed.

Lemma dot_scal_l m a v w : dot m (fun d => a * v d) w = a * dot m v w.
Proof. unfold dot. rewrite <- Sum_scal. apply Sum_ext. intros. ring. Qed.

Lemma dot_Sum_l m k (f : nat -> nat -> R) w : dot m (fun d => Sum k (fun i => f i d)) w = Sum k (fun i => dot m (f i) w).
Proof.
  unfold dot. rewrite Sum_swap. apply Sum_ext. intros d Hd. now rewrite <- Sum_scal_r.
Qed.

Lemma dot_ext m u u' v v' : equal m u u' -> equal m v v' -> dot m u v = dot m u' v'.
Proof. intros Hu Hv. apply Sum_ext. intros d Hd. now rewrite Hu, Hv. Qed.

Lemma dot_self_zero m v : dot m v v = 0 -> equal m v (fun _ => 0).
Proof.
  intros H d Hd. assert (E : v d * v d = 0); [|nra].
  apply (Sum_eq_0 m (fun d => v d * v d)); [intros; nra|exact H|exact Hd].
Qed.

Lemma delta_pick k i f : (i < k)%nat -> Sum k (fun j => f j * delta j i) = f i.
Proof.
  intros Hi. rewrite <- (Sum_pick k i f Hi). apply Sum_ext. intros j Hj. unfold delta. destruct (Nat.eqb j i); ring.
Qed.

(** <part of v, q_i> = <v, q_i> *)
Lemma dot_part m k q v i : orthonormal m k q -> (i < k)%nat -> dot m (part m k q v) (q i) = dot m v (q i).
Proof.
  intros Hq Hi. unfold part. rewrite (dot_Sum_l m k (fun i d => dot m v (q i) * q i d)).
  rewrite <- (delta_pick k i (fun j => dot m v (q j)) Hi).
  apply Sum_ext. intros j Hj. rewrite dot_scal_l. now rewrite Hq.
Qed.

(** ** The Gram-Schmidt method *)

(** A property of vectors that linear combinations inherit. *)
Definition linear (m : nat) (P : (nat -> R) -> Prop) : Prop :=
  (forall u v, equal m u v -> P u -> P v) /\ P (fun _ => 0) /\
  (forall u v a, P u -> P v -> P (fun d => u d + a * v d)).

Lemma linear_Sum m P k (f : nat -> nat -> R) (a : nat -> R) :
  linear m P -> (forall i, (i < k)%nat -> P (f i)) -> P (fun d => Sum k (fun i => a i * f i d)).
Proof.
  intros [Hext [H0 Hlin]] Hf. induction k as [|k IH]; simpl; [exact H0|].
  apply Hlin; [apply IH; intros; apply Hf; lia|apply Hf; lia].
Qed.

(** What is left of v beyond the part that q spans. *)
Lemma rest_linear m P k q v :
  linear m P -> (forall i, (i < k)%nat -> P (q i)) -> P v -> P (fun d => v d - part m k q v d).
Proof.
  intros HP Hq Hv. destruct HP as [Hext [H0 Hlin]].
  apply (Hext (fun d => v d + -1 * part m k q v d)); [intros d _; ring|].
  apply Hlin; [exact Hv|]. apply (linear_Sum m P k q); [now split|exact Hq].
Qed.

(** An orthonormal system q of k vectors, and vectors x_0, ..., x_(n-1): q can be extended, by combinations of these,
    to a system that spans them all. *)
Theorem Gram_Schmidt m k (q x : nat -> nat -> R) n :
  orthonormal m k q ->
  exists k' q', (k <= k')%nat /\ (forall i, (i < k)%nat -> q' i = q i) /\ orthonormal m k' q' /\
    (forall j, (j < n)%nat -> equal m (x j) (part m k' q' (x j))) /\
    (forall P, linear m P -> (forall i, (i < k)%nat -> P (q i)) -> (forall j, (j < n)%nat -> P (x j)) ->
      forall i, (i < k')%nat -> P (q' i)).
Proof.
  intros Hq. induction n as [|n IH].
  - exists k, q. repeat split; auto. intros. lia.
  - destruct IH as [l [r [Hl [Hsame [Hr [Hspan HP]]]]]].
    set (v := x n). set (w := fun d => v d - part m l r v d).
    assert (Hw : forall i, (i < l)%nat -> dot m w (r i) = 0).
    { intros i Hi. unfold w. rewrite dot_minus_l, dot_part by assumption. ring. }
    destruct (dot_self_nonneg m w) as [Hpos|Hzero].
    + (* a new direction, w / |w| *)
      set (c := / sqrt (dot m w w)).
      assert (Hs : sqrt (dot m w w) * sqrt (dot m w w) = dot m w w) by (apply sqrt_sqrt; lra).
      assert (Hs0 : 0 < sqrt (dot m w w)) by now apply sqrt_lt_R0.
      set (r' := fun i => if Nat.eqb i l then (fun d => c * w d) else r i).
      assert (Hold : forall i, (i < l)%nat -> r' i = r i).
      { intros i Hi. unfold r'. destruct (Nat.eqb_spec i l); [lia|reflexivity]. }
      assert (Hnew : r' l = (fun d => c * w d)) by (unfold r'; now rewrite Nat.eqb_refl).
      assert (Hpart : forall u d, part m (S l) r' u d = part m l r u d + dot m u (r' l) * r' l d).
      { intros u d. unfold part. simpl. f_equal. apply Sum_ext. intros i Hi. now rewrite Hold. }
      exists (S l), r'. repeat split.
      * lia.
      * intros i Hi. rewrite Hold by lia. now apply Hsame.
      * intros i j Hi Hj.
        destruct (Nat.eq_dec i l) as [->|Ei], (Nat.eq_dec j l) as [->|Ej].
        -- rewrite Hnew, (dot_scal_l m c w), dot_comm, (dot_scal_l m c w). unfold delta. rewrite Nat.eqb_refl, <- Hs. unfold c. field. lra.
        -- rewrite Hnew, (Hold j), (dot_scal_l m c w), Hw by lia. unfold delta. destruct (Nat.eqb_spec l j); [lia|ring].
        -- rewrite Hnew, (Hold i), dot_comm, (dot_scal_l m c w), Hw by lia. unfold delta.
           destruct (Nat.eqb_spec i l); [lia|ring].
        -- rewrite !Hold by lia. apply Hr; lia.
      * intros j Hj d Hd. rewrite Hpart. destruct (Nat.eq_dec j n) as [->|Ej].
        -- fold v. (* <v, w> = <w, w> *)
           assert (Hvw : dot m v w = dot m w w).
           { assert (E : dot m (part m l r v) w = 0).
             { unfold part. rewrite (dot_Sum_l m l (fun i d => dot m v (r i) * r i d)). apply Sum_zero.
               intros i Hi. rewrite dot_scal_l, (dot_comm m (r i) w), Hw by assumption. ring. }
             unfold w at 2. rewrite dot_minus_l, E. ring. }
           rewrite Hnew, dot_comm, (dot_scal_l m c w), (dot_comm m w v), Hvw, <- Hs.
           replace (c * (sqrt (dot m w w) * sqrt (dot m w w)) * (c * w d)) with (w d) by (unfold c; field; lra).
           unfold w. ring.
        -- rewrite Hnew, dot_comm, (dot_scal_l m c w).
           (* x_j is spanned already, so it is orthogonal to w *)
           assert (E : dot m w (x j) = 0).
           { rewrite (dot_ext m w w (x j) (part m l r (x j))); [|intros ? _; reflexivity|apply Hspan; lia].
             rewrite dot_comm. unfold part. rewrite (dot_Sum_l m l (fun i d => dot m (x j) (r i) * r i d)).
             apply Sum_zero. intros i Hi. rewrite dot_scal_l, (dot_comm m (r i) w), Hw by assumption. ring. }
           rewrite E, <- (Hspan j) by lia. ring.
      * intros P HPlin HPq HPx i Hi. destruct (Nat.eq_dec i l) as [->|Ei].
        -- rewrite Hnew. destruct HPlin as [Hext [H0 Hlin]].
           apply (Hext (fun d => 0 + c * w d)); [intros d _; ring|]. apply Hlin; [exact H0|].
           apply rest_linear; [now repeat split| |apply HPx; lia]. apply HP; [now repeat split|exact HPq|].
           intros; apply HPx; lia.
        -- rewrite Hold by lia. apply HP; auto. lia.
    + (* x_n is spanned already *)
      exists l, r. split; [exact Hl|]. split; [exact Hsame|]. split; [exact Hr|]. split.
      * intros j Hj. destruct (Nat.eq_dec j n) as [->|Ej]; [|apply Hspan; lia].
        intros d Hd. assert (E := dot_self_zero m w (eq_sym Hzero) d Hd). unfold w in E. fold v. lra.
      * intros P HPlin HPq HPx. apply HP; auto.
Qed.

(** ** Bases of the whole space *)

(** The unit vectors e_0, ..., e_(m-1). *)
Lemma dot_unit m v d : (d < m)%nat -> dot m v (delta d) = v d.
Proof.
  intros Hd. unfold dot. rewrite <- (delta_pick m d v Hd). apply Sum_ext. intros i Hi.
  unfold delta. rewrite Nat.eqb_sym. reflexivity.
Qed.

(** An orthonormal system that spans the unit vectors has m vectors: count sum_i |q_i|^2 = sum_d |e_d|^2 twice. *)
Lemma spanning_system_size m k q :
  orthonormal m k q -> (forall d, (d < m)%nat -> equal m (delta d) (part m k q (delta d))) -> k = m.
Proof.
  intros Hq Hspan. apply INR_eq.
  assert (H1 : INR k = Sum k (fun i => Sum m (fun d => q i d * q i d))).
  { transitivity (Sum k (fun _ => 1)); [rewrite Sum_const; ring|]. apply Sum_ext. intros i Hi.
    change (1 = dot m (q i) (q i)). rewrite Hq by assumption. unfold delta. now rewrite Nat.eqb_refl. }
  assert (H2 : INR m = Sum m (fun d => Sum k (fun i => q i d * q i d))).
  { transitivity (Sum m (fun _ => 1)); [rewrite Sum_const; ring|]. apply Sum_ext. intros d Hd.
    assert (E := Hspan d Hd d Hd). unfold delta at 1 in E. rewrite Nat.eqb_refl in E. rewrite E.
    apply Sum_ext. intros i Hi. rewrite dot_comm, dot_unit by assumption. reflexivity. }
  rewrite H1, H2. apply Sum_swap.
Qed.

(** Such a system gives coordinates of every vector. *)
Lemma spanning_system_coordinates m k q :
  orthonormal m k q -> (forall d, (d < m)%nat -> equal m (delta d) (part m k q (delta d))) ->
  forall v, equal m v (part m k q v).
Proof.
  intros Hq Hspan v d Hd.
  (* v_d = sum_e v_e delta_ed, and each e_e is spanned *)
  rewrite <- (delta_pick m d v Hd) at 1.
  transitivity (Sum m (fun e => v e * part m k q (delta e) d)).
  - apply Sum_ext. intros e He. f_equal. now apply Hspan.
  - unfold part. rewrite (Sum_ext m _ (fun e => Sum k (fun i => v e * (q i e * q i d)))).
    + rewrite Sum_swap. apply Sum_ext. intros i Hi. unfold dot. rewrite <- Sum_scal_r. apply Sum_ext. intros. ring.
    + intros e He. rewrite <- Sum_scal. apply Sum_ext. intros i Hi. rewrite (dot_comm m (delta e)), dot_unit by assumption.
      reflexivity.
Qed.

(** An orthonormal system of k vectors has k <= m, and can be completed to m vectors that give coordinates. *)
Theorem completed_basis m k q :
  orthonormal m k q ->
  exists b, (k <= m)%nat /\ (forall i, (i < k)%nat -> b i = q i) /\ orthonormal m m b /\
    forall v, equal m v (part m m b v).
Proof.
  intros Hq. destruct (Gram_Schmidt m k q delta m Hq) as [k' [b [Hk [Hsame [Hb [Hspan _]]]]]].
  assert (E := spanning_system_size m k' b Hb Hspan). subst k'.
  exists b. repeat split; [lia|exact Hsame|exact Hb|]. now apply spanning_system_coordinates.
Qed.
