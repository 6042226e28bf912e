(** * S11: one linear program decides everything (docs/theory.md, S11)

    The pairs that some recession direction separates, and the others; what every optimum of the linear program and of its
    dual says about them; and the infimum of the loss. *)

From Coq Require Import Reals Lra Lia Bool Classical.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Curvature Convergence Recession Dual Face.
Open Scope R_scope.

(** A property of finitely many pairs of numbers as a function with values in bool. *)
Lemma finite_decision (P : nat -> nat -> Prop) N C : exists f : nat -> nat -> bool,
  forall n j, (n < N)%nat -> (j < C)%nat -> f n j = true <-> P n j.
Proof.
  assert (row : forall n, exists g : nat -> bool, forall j, (j < C)%nat -> g j = true <-> P n j).
  { intros n. induction C as [|m [g Hg]]; [exists (fun _ => true); lia|].
    destruct (classic (P n m)) as [yes|no].
    - exists (fun j => if Nat.eqb j m then true else g j). intros j Hj. destruct (Nat.eqb_spec j m) as [->|ne]; [tauto|].
      apply Hg. lia.
    - exists (fun j => if Nat.eqb j m then false else g j). intros j Hj. destruct (Nat.eqb_spec j m) as [->|ne].
      + split; [discriminate|contradiction].
      + apply Hg. lia. }
  induction N as [|m [f Hf]]; [exists (fun _ _ => true); lia|]. destruct (row m) as [g Hg].
  exists (fun n j => if Nat.eqb n m then g j else f n j). intros n j Hn Hj. destruct (Nat.eqb_spec n m) as [->|ne].
  - now apply Hg.
  - apply Hf; auto. lia.
Qed.

Section LinearProgram.
  Variable p : problem.
  Notation N := (samples p).
  Notation C := (classes p).
  Notation D := (features p).
  Notation X := (input p).
  Notation T := (target p).
  Notation s := (weight p).

  (** The set P: some recession direction separates the pair. The pairs outside P are Q. *)
  Definition separated (n j : nat) : Prop := exists V, recession_direction p V /\ 0 < margin p V n j.

  (** ** Recession directions form a cone, on which margins add up *)

  Lemma support_class n : (n < N)%nat -> exists i, (i < C)%nat /\ 0 < T n i.
  Proof. intros Hn. apply support_exists; [intros; now apply target_nonneg|now apply target_sum]. Qed.

  (** m_n(V) is the entry of every class of the support. *)
  Lemma margin_from_support V n i j : recession_direction p V -> (n < N)%nat -> 0 < s n -> (i < C)%nat -> 0 < T n i ->
    margin p V n j = logit p V n i - logit p V n j.
  Proof. intros dir Hn sn Hi ti. assert (E := margin_on_support p V n i dir Hn sn Hi ti). unfold margin in *. lra. Qed.

  Lemma cone V a U : recession_direction p V -> recession_direction p U -> 0 <= a -> recession_direction p (move V a U).
  Proof.
    intros HV HU a0 n Hn sn i Hi ti j Hj. rewrite !logit_move.
    assert (H1 := HV n Hn sn i Hi ti j Hj). assert (H2 := HU n Hn sn i Hi ti j Hj). nra.
  Qed.

  Lemma margin_move V a U n j : recession_direction p V -> recession_direction p U -> 0 <= a -> (n < N)%nat -> 0 < s n ->
    margin p (move V a U) n j = margin p V n j + a * margin p U n j.
  Proof.
    intros HV HU a0 Hn sn. destruct (support_class n Hn) as [i [Hi ti]].
    rewrite (margin_from_support _ n i j (cone V a U HV HU a0) Hn sn Hi ti),
      (margin_from_support V n i j HV Hn sn Hi ti), (margin_from_support U n i j HU Hn sn Hi ti), !logit_move. ring.
  Qed.

  Lemma zero_direction : recession_direction p (fun _ _ => 0).
  Proof.
    intros n Hn sn i Hi ti j Hj. unfold logit. rewrite !Sum_zero by (intros; ring). lra.
  Qed.

  (** One recession direction has margins >= 1 on all of P: the sum of one for each pair, scaled up. *)
  Lemma one_for_all : exists V, recession_direction p V /\ forall n j, pair p n j -> separated n j -> 1 <= margin p V n j.
  Proof.
    assert (row : forall n, (n < N)%nat -> 0 < s n -> forall m, (m <= C)%nat -> exists V, recession_direction p V /\
      forall j, (j < m)%nat -> separated n j -> 1 <= margin p V n j).
    { intros n Hn sn. induction m as [|m IH]; intros Hm; [exists (fun _ _ => 0); split; [apply zero_direction|lia]|].
      destruct IH as [V [HV Hj]]; [lia|]. destruct (classic (separated n m)) as [[U [HU pos]]|no].
      - assert (a0 : 0 <= / margin p U n m) by (left; now apply Rinv_0_lt_compat).
        exists (move V (/ margin p U n m) U). split; [now apply cone|]. intros j Lj sep.
        rewrite margin_move by auto. destruct (Nat.eq_dec j m) as [->|ne].
        + rewrite Rinv_l by lra. assert (H := margin_nonneg p V n m Hm). lra.
        + assert (H := Hj j ltac:(lia) sep). assert (H' := margin_nonneg p U n j ltac:(lia)). nra.
      - exists V. split; auto. intros j Lj sep. destruct (Nat.eq_dec j m) as [->|ne]; [contradiction|]. apply Hj; auto; lia. }
    assert (all : forall m, (m <= N)%nat -> exists V, recession_direction p V /\
      forall n j, (n < m)%nat -> pair p n j -> separated n j -> 1 <= margin p V n j).
    { induction m as [|m IH]; intros Hm; [exists (fun _ _ => 0); split; [apply zero_direction|lia]|].
      destruct IH as [V [HV Hv]]; [lia|]. destruct (Rlt_dec 0 (s m)) as [sm|no].
      - destruct (row m Hm sm C (le_n C)) as [U [HU Hu]]. exists (move V 1 U). split; [apply cone; auto; lra|].
        intros n j Ln [Hn [sn [Hj tj]]] sep. rewrite margin_move by (auto; lra).
        assert (v0 := margin_nonneg p V n j Hj). assert (u0 := margin_nonneg p U n j Hj).
        destruct (Nat.eq_dec n m) as [->|ne].
        + specialize (Hu j Hj sep). lra.
        + assert (H := Hv n j ltac:(lia) (conj Hn (conj sn (conj Hj tj))) sep). lra.
      - exists V. split; auto. intros n j Ln pr sep. destruct (Nat.eq_dec n m) as [->|ne]; [exfalso; apply no, pr|].
        apply Hv; auto; lia. }
    destruct (all N (le_n N)) as [V [HV Hv]]. exists V. split; auto. intros n j pr. apply Hv; auto. apply pr.
  Qed.

  (** A minimiser exists if and only if P is empty; separation is complete if and only if some direction separates and Q is
      empty. *)
  Theorem S11_attained_iff : attained p <-> forall n j, pair p n j -> ~ separated n j.
  Proof.
    split.
    - intros att n j [Hn [sn [Hj tj]]] [V [dir pos]]. apply (S9_not_attained p V); auto. split; auto.
      intros ker. destruct (ker n Hn sn) as [a const]. unfold margin in pos. rewrite const in pos by auto.
      assert (M := Max_le C (logit p V n) a (classes_pos p)).
      enough (Max C (logit p V n) <= a) by lra. apply M. intros i Hi. rewrite const by auto. lra.
    - intros none. apply S9_existence. intros V dir n Hn sn. exists (Max C (logit p V n)). intros i Hi.
      enough (margin p V n i = 0) by (unfold margin in *; lra).
      destruct (Req_dec (T n i) 0) as [t|t].
      + apply Rle_antisym; [|now apply margin_nonneg]. apply Rnot_lt_le. intros pos.
        apply (none n i); [repeat split; auto|now exists V].
      + apply margin_on_support; auto. assert (H := target_nonneg p n i Hn Hi). lra.
  Qed.

  Theorem S11_complete_iff : complete_separation p <->
    (exists n j, pair p n j) /\ forall n j, pair p n j -> separated n j.
  Proof.
    split.
    - intros [V [[dir out] all]]. split.
      + apply NNPP. intros none. apply out. intros n Hn sn. exists (Max C (logit p V n)). intros i Hi.
        enough (margin p V n i = 0) by (unfold margin in *; lra). apply margin_on_support; auto.
        assert (t := target_nonneg p n i Hn Hi). destruct t as [pos|z]; auto.
        exfalso. apply none. exists n, i. repeat split; auto.
      + intros n j pr. exists V. auto.
    - intros [[n [j pr]] all]. destruct one_for_all as [V [dir big]]. exists V. split.
      + split; auto. intros ker. assert (H := big n j pr (all n j pr)).
        destruct pr as [Hn [sn [Hj tj]]]. destruct (ker n Hn sn) as [a const]. unfold margin in H. rewrite const in H by auto.
        assert (M := Max_le C (logit p V n) a (classes_pos p)).
        enough (Max C (logit p V n) <= a) by lra. apply M. intros i Hi. rewrite const by auto. lra.
      + intros m i pr'. assert (H := big m i pr' (all m i pr')). lra.
  Qed.

  (** ** The linear program *)

  Variable i0 : nat -> nat.
  Hypothesis i0_support : forall n, (n < N)%nat -> (i0 n < C)%nat /\ 0 < T n (i0 n).

  Definition pairb (n j : nat) : bool :=
    (if Rlt_dec 0 (s n) then true else false) && (if Req_EM_T (T n j) 0 then true else false).

  Lemma pairb_spec n j : (n < N)%nat -> (j < C)%nat -> pairb n j = true <-> pair p n j.
  Proof.
    intros Hn Hj. unfold pairb, pair. destruct (Rlt_dec 0 (s n)), (Req_EM_T (T n j) 0); simpl; split; intros H;
      try discriminate; try tauto; repeat split; auto.
  Qed.

  (** sum over the pairs *)
  Definition over_pairs (f : nat -> nat -> R) : R := Sum N (fun n => Sum C (fun j => if pairb n j then f n j else 0)).

  Lemma over_pairs_le f g : (forall n j, pair p n j -> f n j <= g n j) -> over_pairs f <= over_pairs g.
  Proof.
    intros le. apply Sum_le. intros n Hn. apply Sum_le. intros j Hj. destruct (pairb n j) eqn:b; [|lra].
    apply le. now apply pairb_spec.
  Qed.

  (** Where no term is larger and the sums are equal, all terms are. *)
  Lemma over_pairs_eq f g : (forall n j, pair p n j -> f n j <= g n j) -> over_pairs g <= over_pairs f ->
    forall n j, pair p n j -> f n j = g n j.
  Proof.
    intros le ge n j pr. assert (Hn : (n < N)%nat) by apply pr. assert (Hj : (j < C)%nat) by apply pr.
    assert (term : forall n j, (n < N)%nat -> (j < C)%nat -> 0 <= if pairb n j then g n j - f n j else 0).
    { intros a b Ha Hb. destruct (pairb a b) eqn:e; [|lra]. assert (H := le a b (proj1 (pairb_spec a b Ha Hb) e)). lra. }
    assert (Z : Sum N (fun n => Sum C (fun j => if pairb n j then g n j - f n j else 0)) = 0).
    { apply Rle_antisym.
      - assert (E : Sum N (fun n => Sum C (fun j => if pairb n j then g n j - f n j else 0)) = over_pairs g - over_pairs f).
        { unfold over_pairs. rewrite <- Sum_minus. apply Sum_ext. intros a _. rewrite <- Sum_minus. apply Sum_ext.
          intros b _. destruct (pairb a b); ring. }
        lra.
      - apply Sum_nonneg. intros. apply Sum_nonneg. intros. now apply term. }
    apply (Sum_eq_0 N (fun n => Sum C (fun j => if pairb n j then g n j - f n j else 0))) with (i := n) in Z; auto.
    - apply (Sum_eq_0 C (fun j => if pairb n j then g n j - f n j else 0)) with (i := j) in Z; auto.
      rewrite (proj2 (pairb_spec n j Hn Hj) pr) in Z. lra.
    - intros a Ha. apply Sum_nonneg. intros b Hb. now apply term.
  Qed.

  (** 0 <= sigma <= 1, sigma_nj <= (V x_n)_i0 - (V x_n)_j on the pairs, and (V x_n)_i = (V x_n)_i0 on the supports *)
  Definition feasible (V : matrix) (sigma : nat -> nat -> R) : Prop :=
    (forall n j, pair p n j -> 0 <= sigma n j <= 1 /\ sigma n j <= logit p V n (i0 n) - logit p V n j) /\
    (forall n i, (n < N)%nat -> 0 < s n -> (i < C)%nat -> 0 < T n i -> logit p V n i = logit p V n (i0 n)).

  Definition optimal (V : matrix) (sigma : nat -> nat -> R) : Prop :=
    feasible V sigma /\ forall V' sigma', feasible V' sigma' -> over_pairs sigma' <= over_pairs sigma.

  (** What is feasible is a recession direction, and sigma is at most the margin. *)
  Lemma feasible_direction V sigma : feasible V sigma -> recession_direction p V /\
    forall n j, pair p n j -> sigma n j <= margin p V n j.
  Proof.
    intros [pairs sup].
    assert (dir : recession_direction p V).
    { intros n Hn sn i Hi ti j Hj. rewrite (sup n i Hn sn Hi ti).
      destruct (target_nonneg p n j Hn Hj) as [tj|tj].
      - rewrite (sup n j Hn sn Hj tj). lra.
      - destruct (pairs n j) as [[H _] H']; [repeat split; auto|]. lra. }
    split; auto. intros n j pr. destruct (pairs n j pr) as [_ H]. destruct pr as [Hn [sn [Hj tj]]].
    destruct (i0_support n Hn) as [Hi ti]. rewrite (margin_from_support V n (i0 n) j dir Hn sn Hi ti). exact H.
  Qed.

  Lemma direction_feasible V sigma : recession_direction p V ->
    (forall n j, pair p n j -> 0 <= sigma n j <= 1 /\ sigma n j <= margin p V n j) -> feasible V sigma.
  Proof.
    intros dir H. split.
    - intros n j pr. destruct (H n j pr) as [H1 H2]. split; auto. destruct pr as [Hn [sn [Hj tj]]].
      destruct (i0_support n Hn) as [Hi ti]. rewrite <- (margin_from_support V n (i0 n) j dir Hn sn Hi ti). exact H2.
    - intros n i Hn sn Hi ti. destruct (i0_support n Hn) as [H0 t0].
      apply Rle_antisym; apply (dir n Hn sn); auto.
  Qed.

  (** Outside P all margins are 0. *)
  Lemma not_separated V n j : recession_direction p V -> pair p n j -> ~ separated n j -> margin p V n j = 0.
  Proof.
    intros dir pr no. apply Rle_antisym; [|apply margin_nonneg, pr]. apply Rnot_lt_le. intros pos. apply no. now exists V.
  Qed.

  (** Every optimum has sigma = 1 on P and 0 on Q. *)
  Theorem S11_primal V sigma : optimal V sigma -> forall n j, pair p n j ->
    (separated n j -> sigma n j = 1) /\ (~ separated n j -> sigma n j = 0).
  Proof.
    intros [feas best]. destruct (feasible_direction V sigma feas) as [dir below].
    assert (zero : forall n j, pair p n j -> ~ separated n j -> sigma n j = 0).
    { intros n j pr no. destruct feas as [pairs _]. destruct (pairs n j pr) as [[H _] _].
      assert (B := below n j pr). rewrite (not_separated V n j dir pr no) in B. lra. }
    intros n j pr. split; [|now apply zero]. intros sep.
    (* the indicator of P is feasible; it is nowhere smaller than sigma *)
    destruct (finite_decision separated N C) as [P HP]. destruct one_for_all as [U [dirU big]].
    set (ind := fun n j => if P n j then 1 else 0).
    assert (F : feasible U ind).
    { apply direction_feasible; auto. intros a b pr'. assert (Ha : (a < N)%nat) by apply pr'. assert (Hb : (b < C)%nat) by apply pr'.
      unfold ind. destruct (P a b) eqn:e.
      - split; [lra|]. apply big; auto. now apply HP.
      - split; [lra|]. now apply margin_nonneg. }
    assert (H := over_pairs_eq sigma ind). rewrite H with (n := n) (j := j); auto.
    - unfold ind. rewrite (proj2 (HP n j (proj1 pr) (proj1 (proj2 (proj2 pr)))) sep). reflexivity.
    - intros a b pr'. assert (Ha : (a < N)%nat) by apply pr'. assert (Hb : (b < C)%nat) by apply pr'. unfold ind.
      destruct (P a b) eqn:e.
      + destruct feas as [pairs _]. destruct (pairs a b pr') as [[_ H1] _]. exact H1.
      + rewrite (zero a b pr'); [lra|]. intros sep'. apply (HP a b Ha Hb) in sep'. congruence.
    - now apply best with U.
  Qed.

  (** ** The face *)

  (** The classes left: all but those of the pairs in P. *)
  Definition is_face (kept : nat -> nat -> bool) : Prop := forall n j, (n < N)%nat -> (j < C)%nat ->
    kept n j = false <-> (pair p n j /\ separated n j).

  Lemma face_exists : exists kept, is_face kept.
  Proof.
    destruct (finite_decision (fun n j => ~ (pair p n j /\ separated n j)) N C) as [f Hf]. exists f.
    intros n j Hn Hj. assert (H := Hf n j Hn Hj). destruct (f n j); split; intros H'; try discriminate; try reflexivity.
    - exfalso. now apply H.
    - apply NNPP. intros no. apply H in no. discriminate.
  Qed.

  Lemma face_support kept : is_face kept -> forall n i, (n < N)%nat -> (i < C)%nat -> 0 < T n i -> kept n i = true.
  Proof.
    intros face n i Hn Hi ti. destruct (kept n i) eqn:k; auto. apply (face n i Hn Hi) in k.
    destruct k as [[_ [_ [_ z]]] _]. lra.
  Qed.

  (** A recession direction of the face, plus a large multiple of one that separates all of P, is one of the loss: so it is
      constant on the face. *)
  Lemma face_directions_constant kept : is_face kept -> forall V, face_recession p kept V = 0 -> constant_on_face p kept V.
  Proof.
    intros face V zero. destruct one_for_all as [U [dirU big]].
    set (a := Sum N (fun n => Sum C (fun j => Rabs (logit p V n j - target_mean p V n)))).
    assert (a0 : 0 <= a) by (apply Sum_nonneg; intros; apply Sum_nonneg; intros; apply Rabs_pos).
    assert (large : forall n j, (n < N)%nat -> (j < C)%nat -> logit p V n j - target_mean p V n <= a).
    { intros n j Hn Hj. apply Rle_trans with (1 := Rle_abs _).
      apply Rle_trans with (Sum C (fun j => Rabs (logit p V n j - target_mean p V n))).
      - apply (Sum_term_le C (fun j => Rabs (logit p V n j - target_mean p V n))); auto. intros. apply Rabs_pos.
      - apply (Sum_term_le N (fun n => Sum C (fun j => Rabs (logit p V n j - target_mean p V n)))); auto.
        intros. apply Sum_nonneg. intros. apply Rabs_pos. }
    assert (dir : recession_direction p (move V a U)).
    { intros n Hn sn i Hi ti j Hj. rewrite !logit_move.
      destruct (face_recession_zero p kept (face_support kept face) V n zero Hn sn) as [below same].
      rewrite (same i Hi ti). assert (u := dirU n Hn sn i Hi ti j Hj). destruct (kept n j) eqn:k.
      - assert (b := below j Hj k). nra.
      - apply (face n j Hn Hj) in k. destruct k as [pr sep]. assert (m := big n j pr sep).
        rewrite (margin_from_support U n i j dirU Hn sn Hi ti) in m. assert (l := large n j Hn Hj). nra. }
    intros n Hn sn j Hj k. destruct (face_recession_zero p kept (face_support kept face) V n zero Hn sn) as [below same].
    destruct (target_nonneg p n j Hn Hj) as [tj|tj]; [now apply same|].
    assert (pr : pair p n j) by (repeat split; auto).
    assert (no : ~ separated n j) by (intros sep; assert (kept n j = false) by (now apply face); congruence).
    destruct (support_class n Hn) as [i [Hi ti]].
    assert (m1 := not_separated (move V a U) n j dir pr no). assert (m2 := not_separated U n j dirU pr no).
    rewrite (margin_from_support _ n i j dir Hn sn Hi ti), !logit_move in m1.
    rewrite (margin_from_support U n i j dirU Hn sn Hi ti) in m2. rewrite (same i Hi ti) in m1. nra.
  Qed.

  (** inf L is the minimum of the loss with the pairs P dropped from the log-sum-exps, which is attained. *)
  Theorem S11_face_minimum kept : is_face kept ->
    exists W, (forall U, face_loss p kept W <= face_loss p kept U) /\ infimum p (face_loss p kept W).
  Proof.
    intros face. destruct (face_attained p kept (face_support kept face) (face_directions_constant kept face)) as [W least].
    exists W. split; auto. destruct one_for_all as [V [dir big]].
    apply (face_infimum p kept (face_support kept face) V W dir); auto.
    intros n j Hn sn Hj k. apply (face n j Hn Hj) in k. destruct k as [pr sep]. assert (H := big n j pr sep). lra.
  Qed.

  (** ** The dual *)

  (** The multipliers lambda of sigma <= margin, completed on the supports to a matrix G with row sums 0 (G_ni = - kappa_ni
      for the equations on the supports), and mu of sigma <= 1. Stationarity in V is X^T G = 0; lambda + mu >= 1 comes from
      sigma >= 0. The weights are absorbed: G / s is what S10 calls multipliers. *)
  Definition dual_feasible (G mu : nat -> nat -> R) : Prop :=
    multipliers p G /\ forall n j, pair p n j -> 0 <= G n j /\ 0 <= mu n j /\ 1 <= G n j + mu n j.

  Definition dual_optimal (G mu : nat -> nat -> R) : Prop :=
    dual_feasible G mu /\ forall G' mu', dual_feasible G' mu' -> over_pairs mu <= over_pairs mu'.

  (** Weak duality: no dual value is below a primal one. *)
  Theorem S11_weak_duality V sigma G mu : feasible V sigma -> dual_feasible G mu -> over_pairs sigma <= over_pairs mu.
  Proof.
    intros feas [mult dual]. destruct (feasible_direction V sigma feas) as [dir below].
    apply over_pairs_le. intros n j pr. destruct (dual n j pr) as [g0 [m0 one]].
    destruct feas as [pairs _]. destruct (pairs n j pr) as [[s0 s1] _].
    (* G_nj margin_nj = 0 by Gordan's variant; sigma <= sigma (G + mu) <= G margin + mu *)
    assert (z : G n j * margin p V n j = 0).
    { destruct g0 as [pos|<-]; [|ring]. rewrite (S10_Gordan p G V mult); auto; [ring|].
      intros a b pr'. now apply dual. }
    assert (b := below n j pr). assert (G n j * sigma n j <= 0) by nra. nra.
  Qed.

  (** On P the multipliers are 0. *)
  Lemma dual_zero G mu n j : dual_feasible G mu -> pair p n j -> separated n j -> G n j = 0.
  Proof.
    intros [mult dual] pr [V [dir pos]]. destruct (dual n j pr) as [[g|g] _]; auto.
    rewrite (S10_Gordan p G V mult) in pos; auto; [lra|]. intros a b pr'. now apply dual.
  Qed.

  (** The derivative of the loss of a face along a line. *)
  Lemma is_derive_face kept : (forall n i, (n < N)%nat -> (i < C)%nat -> 0 < T n i -> kept n i = true) -> forall W U,
    is_derive (fun a => face_loss p kept (move W a U)) 0
      (Sum N (fun n => s n * (Sum C (fun i => logit p U n i * exp (logit p W n i) * mask (kept n) i)
        / face_sum C (kept n) (logit p W n) - target_mean p U n))).
  Proof.
    intros sup W U. unfold face_loss.
    apply (is_derive_Sum N (fun n a => s n * (face_lse C (kept n) (logit p (move W a U) n) - target_mean p (move W a U) n)) 0
      (fun n => s n * (Sum C (fun i => logit p U n i * exp (logit p W n i) * mask (kept n) i)
        / face_sum C (kept n) (logit p W n) - target_mean p U n))).
    intros n Hn. apply is_derive_scal.
    apply (is_derive_minus (fun a => face_lse C (kept n) (logit p (move W a U) n)) (fun a => target_mean p (move W a U) n)).
    - set (F := fun a => Sum C (fun i => exp (logit p W n i + a * logit p U n i) * mask (kept n) i)).
      assert (EF : forall a, face_sum C (kept n) (logit p (move W a U) n) = F a).
      { intros a. apply Sum_ext. intros i _. rewrite logit_move. ring. }
      assert (E0 : face_sum C (kept n) (logit p W n) = F 0).
      { apply Sum_ext. intros i _. rewrite Rmult_0_l, Rplus_0_r. ring. }
      assert (P := face_sum_pos C (T n) (kept n) (fun i => target_nonneg p n i Hn) (target_sum p n Hn)
        (fun i => sup n i Hn) (logit p W n)).
      apply (is_derive_ext (fun a => ln (F a))); [intros a; unfold face_lse; now rewrite EF|].
      assert (D1 := is_derive_sum_exp C (logit p W n) (logit p U n) (mask (kept n)) 0).
      rewrite E0 in *.
      replace (Sum C (fun i => logit p U n i * exp (logit p W n i) * mask (kept n) i) / F 0)
        with (scal (Sum C (fun i => logit p U n i * exp (logit p W n i + 0 * logit p U n i) * mask (kept n) i)) (/ F 0)).
      + apply (is_derive_comp ln F); [now apply is_derive_ln|exact D1].
      + change (Sum C (fun i => logit p U n i * exp (logit p W n i + 0 * logit p U n i) * mask (kept n) i) * / F 0
          = Sum C (fun i => logit p U n i * exp (logit p W n i) * mask (kept n) i) / F 0).
        unfold Rdiv. f_equal. apply Sum_ext. intros i _. now rewrite Rmult_0_l, Rplus_0_r.
    - apply (is_derive_ext (fun a => target_mean p W n + a * target_mean p U n)).
      + intros a. symmetry. apply target_mean_move.
      + auto_derive; [trivial|ring].
  Qed.

  (** At the minimiser of the face the gradient is 0: Y_F - T gives multipliers that are positive on Q and 0 on P, scaled up
      to be at least 1 on Q. *)
  Lemma dual_exists kept : is_face kept -> exists G, multipliers p G /\
    forall n j, pair p n j -> (separated n j -> G n j = 0) /\ (~ separated n j -> 1 <= G n j).
  Proof.
    intros face. assert (sup := face_support kept face). destruct (S11_face_minimum kept face) as [W [least _]].
    set (y := fun n j => mask (kept n) j * exp (logit p W n j) / face_sum C (kept n) (logit p W n)).
    assert (Sp : forall n, (n < N)%nat -> 0 < face_sum C (kept n) (logit p W n)).
    { intros n Hn. apply (face_sum_pos C (T n) (kept n)); [intros; now apply target_nonneg|now apply target_sum|auto]. }
    assert (stationary : forall c d, (c < C)%nat -> (d < D)%nat -> Sum N (fun n => s n * (y n c - T n c) * X n d) = 0).
    { intros c d Hc Hd. set (f := fun a => face_loss p kept (move W a (unit c d))).
      assert (der := is_derive_face kept sup W (unit c d)). fold f in der. apply is_derive_Reals in der.
      assert (f0 : f 0 = face_loss p kept W).
      { assert (E := face_loss_same p kept). unfold f. apply E. apply same_move_0. }
      set (pr := exist (fun l => derivable_pt_abs f 0 l) _ der : derivable_pt f 0).
      assert (Z : derive_pt f 0 pr = 0).
      { apply (deriv_minimum f (-1) 1 0 pr); [lra|lra|]. intros a _ _. rewrite f0. apply least. }
      change (Sum N (fun n => s n * (Sum C (fun i => logit p (unit c d) n i * exp (logit p W n i) * mask (kept n) i)
        / face_sum C (kept n) (logit p W n) - target_mean p (unit c d) n)) = 0) in Z.
      rewrite <- Z. apply Sum_ext. intros n Hn.
      assert (L : forall i, logit p (unit c d) n i = if Nat.eqb i c then X n d else 0).
      { intros i. unfold logit, unit. destruct (Nat.eqb i c).
        - rewrite (Sum_ext D _ (fun e => if Nat.eqb e d then X n e else 0)).
          + now apply Sum_pick.
          + intros e _. destruct (Nat.eqb e d); ring.
        - apply Sum_zero. intros. ring. }
      unfold target_mean.
      rewrite (Sum_ext C (fun i => T n i * logit p (unit c d) n i) (fun i => if Nat.eqb i c then T n i * X n d else 0))
        by (intros i _; rewrite L; destruct (Nat.eqb i c); ring).
      rewrite (Sum_ext C (fun i => logit p (unit c d) n i * exp (logit p W n i) * mask (kept n) i)
        (fun i => if Nat.eqb i c then X n d * exp (logit p W n i) * mask (kept n) i else 0))
        by (intros i _; rewrite L; destruct (Nat.eqb i c); ring).
      rewrite (Sum_pick C c (fun i => T n i * X n d) Hc),
        (Sum_pick C c (fun i => X n d * exp (logit p W n i) * mask (kept n) i) Hc).
      unfold y. assert (P := Sp n Hn). field. lra. }
    set (k := Sum N (fun n => Sum C (fun j => Rabs (/ (s n * y n j))))).
    assert (k0 : 0 <= k) by (apply Sum_nonneg; intros; apply Sum_nonneg; intros; apply Rabs_pos).
    exists (fun n j => k * (s n * (y n j - T n j))). split; [split; [|split]|].
    - intros n Hn. rewrite Sum_scal, Sum_scal, Sum_minus, target_sum by auto.
      assert (one : Sum C (y n) = 1).
      { unfold y, Rdiv. rewrite Sum_scal_r. apply Rinv_r, Rgt_not_eq. exact (Sp n Hn). }
      rewrite one. ring.
    - intros j d Hj Hd. rewrite (Sum_ext N _ (fun n => k * (s n * (y n j - T n j) * X n d))) by (intros; ring).
      rewrite Sum_scal, stationary by auto. ring.
    - intros n j _ _ ->. ring.
    - intros n j pr. assert (pr' := pr). destruct pr as [Hn [sn [Hj tj]]]. rewrite tj. split.
      + intros sep. assert (kf : kept n j = false) by (now apply face). unfold y, mask. rewrite kf. unfold Rdiv. ring.
      + intros no. assert (kt : kept n j = true).
        { destruct (kept n j) eqn:e; auto. apply (face n j Hn Hj) in e. tauto. }
        assert (yp : 0 < y n j).
        { unfold y, mask. rewrite kt, Rmult_1_l. apply Rdiv_lt_0_compat; [apply exp_pos|auto]. }
        assert (sy : 0 < s n * y n j) by (apply Rmult_lt_0_compat; auto).
        assert (big : / (s n * y n j) <= k).
        { apply Rle_trans with (1 := Rle_abs _).
          apply Rle_trans with (Sum C (fun j => Rabs (/ (s n * y n j)))).
          - apply (Sum_term_le C (fun j => Rabs (/ (s n * y n j)))); auto. intros. apply Rabs_pos.
          - apply (Sum_term_le N (fun n => Sum C (fun j => Rabs (/ (s n * y n j))))); auto.
            intros. apply Sum_nonneg. intros. apply Rabs_pos. }
        apply Rmult_le_compat_r with (r := s n * y n j) in big; [|lra]. rewrite Rinv_l in big by lra. rewrite Rminus_0_r. exact big.
  Qed.

  (** In every dual optimum the multipliers of sigma <= margin are at least 1 on Q and 0 on P. *)
  Theorem S11_dual G mu : dual_optimal G mu -> forall n j, pair p n j ->
    (separated n j -> G n j = 0) /\ (~ separated n j -> 1 <= G n j).
  Proof.
    intros [feas best] n j pr. split; [intros sep; now apply dual_zero with mu|]. intros no.
    destruct (finite_decision separated N C) as [P HP].
    set (ind := fun n j => if P n j then 1 else 0).
    (* the value of the optimum is the number of pairs in P, so mu = 1 there and 0 on Q *)
    destruct face_exists as [kept face]. destruct (dual_exists kept face) as [G' [mult' HG']].
    assert (F : dual_feasible G' ind).
    { split; auto. intros a b pr'. assert (Ha : (a < N)%nat) by apply pr'. assert (Hb : (b < C)%nat) by apply pr'.
      destruct (HG' a b pr') as [H1 H2]. unfold ind. destruct (P a b) eqn:e.
      - assert (sep : separated a b) by now apply HP. rewrite (H1 sep). lra.
      - assert (no' : ~ separated a b) by (intros sep; apply (HP a b Ha Hb) in sep; congruence). assert (H := H2 no'). lra. }
    assert (mu_ind : ind n j = mu n j).
    { apply (over_pairs_eq ind mu); [|now apply best with G'|auto]. intros a b pr'.
      assert (Ha : (a < N)%nat) by apply pr'. assert (Hb : (b < C)%nat) by apply pr'.
      destruct feas as [mult dual]. destruct (dual a b pr') as [_ [m0 one]]. unfold ind. destruct (P a b) eqn:e; [|lra].
      assert (sep : separated a b) by now apply HP.
      rewrite (dual_zero G mu a b (conj mult dual) pr' sep) in one. lra. }
    destruct feas as [_ dual]. destruct (dual n j pr) as [_ [_ one]].
    assert (e : P n j = false).
    { destruct (P n j) eqn:e; auto. apply (HP n j (proj1 pr) (proj1 (proj2 (proj2 pr)))) in e. contradiction. }
    unfold ind in mu_ind. rewrite e in mu_ind. lra.
  Qed.

  (** Both optima exist, with the same value. *)
  Theorem S11_optima : exists V sigma G mu, optimal V sigma /\ dual_optimal G mu /\ over_pairs sigma = over_pairs mu.
  Proof.
    destruct (finite_decision separated N C) as [P HP]. set (ind := fun n j => if P n j then 1 else 0).
    destruct one_for_all as [U [dirU big]]. destruct face_exists as [kept face]. destruct (dual_exists kept face) as [G [mult HG]].
    assert (F : feasible U ind).
    { apply direction_feasible; auto. intros a b pr'. assert (Ha : (a < N)%nat) by apply pr'. assert (Hb : (b < C)%nat) by apply pr'.
      unfold ind. destruct (P a b) eqn:e.
      - split; [lra|]. apply big; auto. now apply HP.
      - split; [lra|]. now apply margin_nonneg. }
    assert (F' : dual_feasible G ind).
    { split; auto. intros a b pr'. assert (Ha : (a < N)%nat) by apply pr'. assert (Hb : (b < C)%nat) by apply pr'.
      destruct (HG a b pr') as [H1 H2]. unfold ind. destruct (P a b) eqn:e.
      - assert (sep : separated a b) by now apply HP. rewrite (H1 sep). lra.
      - assert (no : ~ separated a b) by (intros sep; apply (HP a b Ha Hb) in sep; congruence). assert (H := H2 no). lra. }
    exists U, ind, G, ind. split; [split; [auto|]|split; [split; [auto|]|reflexivity]].
    - intros V' sigma' f. now apply S11_weak_duality with V' G.
    - intros G' mu' f. now apply S11_weak_duality with U G'.
  Qed.
End LinearProgram.
