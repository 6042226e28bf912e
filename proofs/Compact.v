(** * Minima over finitely many coordinates

    A function on R^A, A a type with decidable equality, that is Lipschitz in the largest difference of coordinates:
    it attains its minimum over every box (by one coordinate after the other, and the extreme value theorem of one real
    variable), and over the whole space if it grows like a norm. Then the theorem that S9 rests on: a function that lies
    above its recession function, and is constant along the directions where that vanishes, attains its minimum.
    No choice is used: the value of a minimum is the bound of a set of reals. *)

Require Import Reals Lra List Psatz Classical Wf_nat.
Import ListNotations.
Open Scope R_scope.

Section Coordinates.

Context {A : Type}.
Hypothesis eq_dec : forall a b : A, {a = b} + {a <> b}.

Notation vec := (A -> R).

(** No coordinate of V and V' differs by more than delta. *)
Definition near (delta : R) (V V' : vec) := forall a, Rabs (V a - V' a) <= delta.

Definition Lipschitz (K : R) (f : vec -> R) := forall delta V V', near delta V V' -> f V <= f V' + K * delta.

(** V has its coordinates in l within [-B, B], and the others are those of e. *)
Definition box (l : list A) (B : R) (e V : vec) :=
  (forall a, In a l -> Rabs (V a) <= B) /\ (forall a, ~ In a l -> V a = e a).

Definition set (a : A) (t : R) (V : vec) : vec := fun b => if eq_dec a b then t else V b.

Lemma set_same a t V : set a t V a = t.
Proof. unfold set; destruct (eq_dec a a); tauto. Qed.

Lemma set_other a b t V : a <> b -> set a t V b = V b.
Proof. intros; unfold set; destruct (eq_dec a b); tauto. Qed.

Lemma Lipschitz_ext K f V V' : Lipschitz K f -> (forall a, V a = V' a) -> f V = f V'.
Proof.
  intros Lf same.
  assert (forall V V', (forall a, V a = V' a) -> f V <= f V').
  { intros U U' e. replace (f U') with (f U' + K * 0) by ring. apply Lf.
    intros a. rewrite e. rewrite Rminus_eq_0, Rabs_R0. lra. }
  apply Rle_antisym; auto.
Qed.

(** The least value of f on a set, where a minimiser is known to exist: a real number, without choice. *)
Lemma least_value (P : vec -> Prop) (f : vec -> R) :
  (exists V, P V /\ forall V', P V' -> f V <= f V') ->
  {m : R | exists V, P V /\ f V = m /\ forall V', P V' -> m <= f V'}.
Proof.
  intros ex.
  destruct (completeness (fun y => exists V, P V /\ y = - f V)) as [m lub].
  - destruct ex as [V [_ least]]. exists (- f V). intros y [V' [H ->]]. apply least in H. lra.
  - destruct ex as [V [H _]]. exists (- f V), V. tauto.
  - exists (- m). destruct ex as [V [H least]]. exists V. destruct lub as [up low].
    assert (f V = - m).
    { apply Rle_antisym.
      - enough (m <= - f V) by lra. apply low. intros y [V' [H' ->]]. apply least in H'. lra.
      - enough (- f V <= m) by lra. apply up. exists V. tauto. }
    repeat split; auto. intros V' H'. rewrite <- H0. auto.
Qed.

(** A Lipschitz function attains its minimum over a box. *)
Lemma box_minimum K f B : 0 <= K -> 0 <= B -> Lipschitz K f ->
  forall l e, exists V, box l B e V /\ forall V', box l B e V' -> f V <= f V'.
Proof.
  intros K0 B0 Lf. induction l as [|a l IH]; intros e.
  - exists e. split; [split; simpl; tauto|]. intros V' [_ same]. apply Req_le. symmetry.
    apply (Lipschitz_ext K); auto.
  - destruct (in_dec eq_dec a l) as [there|new].
    { destruct (IH e) as [V [[H1 H2] least]]. exists V. split.
      - split; [intros b [<-|i]; auto|]. intros b no. apply H2. simpl in no. tauto.
      - intros V' [H1' H2']. apply least. split; [intros; apply H1'; simpl; tauto|].
        intros b no. apply H2'. intros [<-|i]; tauto. }
    pose (h := fun t => proj1_sig (least_value _ f (IH (set a t e)))).
    assert (hmin : forall t, exists V, box l B (set a t e) V /\ f V = h t /\
              forall V', box l B (set a t e) V' -> h t <= f V').
    { intros t. unfold h. apply (proj2_sig (least_value _ f (IH (set a t e)))). }
    (* the minimum over the other coordinates is Lipschitz in this one *)
    assert (hLip : forall t t', h t <= h t' + K * Rabs (t - t')).
    { intros t t'. destruct (hmin t') as [V' [[H1 H2] [<- _]]]. destruct (hmin t) as [_ [_ [_ least]]].
      apply Rle_trans with (f (set a t V')).
      - apply least. split.
        + intros b i. rewrite set_other; [auto|]. intros <-; tauto.
        + intros b no. unfold set. destruct (eq_dec a b) as [<-|ne]; auto.
          rewrite H2 by auto. rewrite set_other; auto.
      - apply Lf. intros b. unfold set. destruct (eq_dec a b) as [<-|ne].
        + rewrite H2, set_same by auto. lra.
        + rewrite Rminus_eq_0, Rabs_R0. apply Rabs_pos. }
    destruct (continuity_ab_min h (-B) B) as [t [min_t range_t]]; [lra| |].
    { intros c _ eps pos. exists (eps / (K + 1)). split; [apply Rdiv_lt_0_compat; lra|].
      intros x [_ close]. simpl in *. unfold R_dist in *.
      assert (K * Rabs (x - c) < eps).
      { apply Rle_lt_trans with (K * (eps / (K + 1))).
        - apply Rmult_le_compat_l; lra.
        - apply Rmult_lt_reg_r with (K + 1); [lra|]. field_simplify; [nra|lra]. }
      assert (H1 := hLip x c). assert (H2 := hLip c x). rewrite (Rabs_minus_sym c x) in H2.
      apply Rabs_def1; lra. }
    destruct (hmin t) as [V [[H1 H2] [val _]]]. exists V. split.
    + split.
      * intros b [<-|i]; auto. rewrite H2, set_same by auto. apply Rabs_le. lra.
      * intros b no. simpl in no. rewrite H2 by tauto. rewrite set_other; tauto.
    + intros V' [H1' H2']. rewrite val. assert (r := H1' a (or_introl eq_refl)).
      apply Rle_trans with (h (V' a)); [apply min_t; unfold Rabs in r; destruct (Rcase_abs (V' a)); lra|].
      destruct (hmin (V' a)) as [_ [_ [_ least]]]. apply least. split.
      * intros; apply H1'; simpl; tauto.
      * intros b no. unfold set. destruct (eq_dec a b) as [<-|ne]; auto. apply H2'. simpl; tauto.
Qed.


(** ** Functions above their recession function *)

Fixpoint norm1 (l : list A) (V : vec) : R :=
  match l with [] => 0 | a :: l => Rabs (V a) + norm1 l V end.

Lemma norm1_ge0 l V : 0 <= norm1 l V.
Proof. induction l; simpl; [lra|]. assert (H := Rabs_pos (V a)). lra. Qed.

Lemma norm1_ge l V a : In a l -> Rabs (V a) <= norm1 l V.
Proof.
  induction l as [|b l IH]; simpl; [tauto|]. intros [->|i].
  - assert (H := norm1_ge0 l V). lra.
  - specialize (IH i). assert (H := Rabs_pos (V b)). lra.
Qed.

Lemma norm1_scale l c V : norm1 l (fun a => c * V a) = Rabs c * norm1 l V.
Proof. induction l; simpl; [ring|]. rewrite IHl, Rabs_mult. ring. Qed.

Lemma norm1_Lipschitz l : Lipschitz (INR (length l)) (norm1 l).
Proof.
  intros delta V V' close. induction l as [|a l IH]; [simpl; lra|].
  change (length (a :: l)) with (S (length l)). rewrite S_INR. simpl.
  assert (H := close a). assert (T := Rabs_triang_inv (V a) (V' a)). lra.
Qed.

(** V vanishes off l. *)
Definition on (l : list A) (V : vec) := forall a, ~ In a l -> V a = 0.

(** r is positive on the V <> 0 on l, and sublinear: so it is at least kappa times the norm. *)
Lemma coercive K r l : 0 <= K -> Lipschitz K r ->
  (forall c V, 0 <= c -> r (fun a => c * V a) = c * r V) ->
  (forall V, 0 <= r V) ->
  (forall V, on l V -> r V = 0 -> norm1 l V = 0) ->
  exists kappa, 0 < kappa /\ forall V, on l V -> kappa * norm1 l V <= r V.
Proof.
  intros K0 Lr hom pos definite.
  (* g is positive on the box, which holds the unit sphere *)
  pose (g := fun V => r V + Rabs (1 - norm1 l V)).
  assert (Lg : Lipschitz (K + INR (length l)) g).
  { intros delta V V' close. unfold g. assert (H := Lr _ _ _ close).
    assert (H1 := norm1_Lipschitz l _ _ _ close).
    assert (close' : near delta V' V) by (intros a; rewrite Rabs_minus_sym; apply close).
    assert (H2 := norm1_Lipschitz l _ _ _ close').
    unfold Rabs; destruct (Rcase_abs (1 - norm1 l V)), (Rcase_abs (1 - norm1 l V')); lra. }
  destruct (box_minimum _ g 1 (Rplus_le_le_0_compat _ _ K0 (pos_INR _)) Rle_0_1 Lg l (fun _ => 0)) as [U [[_ off] least]].
  exists (g U). split.
  - assert (H1 := pos U). assert (H2 := Rabs_pos (1 - norm1 l U)). unfold g.
    destruct (Rtotal_order (r U) 0) as [H|[H|H]]; [lra| |lra].
    assert (norm1 l U = 0) by (apply definite; auto). rewrite H0, Rminus_0_r, Rabs_R1. lra.
  - intros V onV. assert (H := norm1_ge0 l V). destruct (Rle_lt_or_eq_dec _ _ H) as [p|<-].
    2:{ rewrite Rmult_0_r. apply pos. }
    assert (b : box l 1 (fun _ => 0) (fun a => / norm1 l V * V a)).
    { split.
      - intros a i. apply norm1_ge with (V := V) in i. rewrite Rabs_mult, Rabs_inv, (Rabs_pos_eq (norm1 l V)) by lra.
        apply Rmult_le_reg_l with (norm1 l V); [lra|]. field_simplify; lra.
      - intros a no. rewrite onV by auto. ring. }
    apply least in b. unfold g at 2 in b.
    assert (i0 : 0 < / norm1 l V) by (apply Rinv_0_lt_compat; lra).
    rewrite norm1_scale, hom, (Rabs_pos_eq (/ norm1 l V)), Rinv_l, Rminus_eq_0, Rabs_R0, Rplus_0_r in b by lra.
    apply Rmult_le_compat_l with (r := norm1 l V) in b; [|lra].
    replace (norm1 l V * (/ norm1 l V * r V)) with (r V) in b by (field; lra). lra.
Qed.

Lemma Lipschitz_cut K f l : 0 <= K -> Lipschitz K f ->
  Lipschitz K (fun V => f (fun a => if in_dec eq_dec a l then V a else 0)).
Proof.
  intros K0 Lf delta V V' close. apply Lf. intros a. destruct (in_dec eq_dec a l); auto.
  rewrite Rminus_eq_0, Rabs_R0. apply Rle_trans with (1 := Rabs_pos _) (2 := close a).
Qed.

(** A coercive function attains its minimum. *)
Lemma coercive_minimum K f l kappa : 0 <= K -> Lipschitz K f -> 0 < kappa ->
  (forall V, on l V -> kappa * norm1 l V <= f V) ->
  exists V, on l V /\ forall V', on l V' -> f V <= f V'.
Proof.
  intros K0 Lf pos grows. pose (zero := fun _ : A => 0).
  assert (on0 : on l zero) by (intros a _; reflexivity).
  assert (n0 : norm1 l zero = 0).
  { clear. induction l; simpl; auto. rewrite IHl. unfold zero. rewrite Rabs_R0. ring. }
  assert (f0 : 0 <= f zero) by (apply grows in on0; rewrite n0 in on0; lra).
  pose (B := f zero / kappa).
  assert (B0 : 0 <= B) by (apply Rmult_le_pos; [auto|]; left; apply Rinv_0_lt_compat; auto).
  destruct (box_minimum K f B K0 B0 Lf l zero) as [V [[_ off] least]].
  exists V. split; auto. intros V' on'.
  destruct (Rle_dec (norm1 l V') B) as [inside|outside].
  - apply least. split; [|auto]. intros a i. apply norm1_ge with (V := V') in i. lra.
  - apply Rle_trans with (f zero).
    + apply least. split; [|auto]. intros a _. unfold zero. rewrite Rabs_R0. auto.
    + apply Rle_trans with (kappa * norm1 l V'); auto.
      replace (f zero) with (kappa * B) by (unfold B; field; lra). apply Rmult_le_compat_l; lra.
Qed.

(** The heart of S9 (existence). f lies above r; r is sublinear, and f is constant along every V with r V = 0. Then f
    attains its minimum. By induction on the number of free coordinates: as long as some V <> 0 has r V = 0, one
    coordinate can be moved to 0 along V without any change of f; when none is left, f grows like the norm. *)
Theorem attained_above_recession K f r : 0 <= K -> Lipschitz K f -> Lipschitz K r ->
  (forall c V, 0 <= c -> r (fun a => c * V a) = c * r V) ->
  (forall V, 0 <= r V) ->
  (forall V, r V <= f V) ->
  (forall V, r V = 0 -> forall W c, f (fun a => W a + c * V a) = f W) ->
  forall l, exists V, on l V /\ forall V', on l V' -> f V <= f V'.
Proof.
  intros K0 Lf Lr hom pos above flat l.
  remember (length l) as n eqn:len. revert l len.
  induction n as [n IH] using (well_founded_induction lt_wf). intros l ->.
  destruct (classic (exists V, on l V /\ r V = 0 /\ norm1 l V <> 0)) as [[V [onV [rV nV]]]|none].
  - assert (j : exists a, In a l /\ V a <> 0).
    { apply NNPP. intros no. apply nV. clear -no. induction l as [|a l IHl]; auto. simpl. rewrite IHl.
      - rewrite Rplus_0_r. destruct (Req_dec (V a) 0) as [->|ne]; [apply Rabs_R0|]. exfalso. apply no. exists a.
        simpl; auto.
      - intros [b [i ne]]. apply no. exists b. simpl; auto. }
    destruct j as [j [inj Vj]].
    destruct (IH _ (remove_length_lt eq_dec l j inj) (remove eq_dec j l) eq_refl) as [W [onW least]].
    exists W. split.
    + intros a no. apply onW. intros i. apply in_remove in i. tauto.
    + intros V' on'. rewrite <- (flat V rV V' (- V' j / V j)). apply least.
      intros a no. destruct (eq_dec a j) as [->|ne]; [field; auto|].
      assert (~ In a l) by (intros i; apply no, in_in_remove; auto).
      rewrite (on' a), (onV a) by auto. ring.
  - destruct (coercive K r l) as [kappa [kpos grows]]; auto.
    { intros V onV rV. apply NNPP. intros ne. apply none. eauto. }
    apply coercive_minimum with K kappa; auto.
    intros V onV. apply Rle_trans with (r V); auto.
Qed.

End Coordinates.
