(** * The existence checker is sound (jaxsoftmax/proof/checkers/check_existence.py)

    The tests that the checker makes on integers, as functions with values in bool, and for each proof that it accepts
    the theorem that the printed verdict is true. No regulariser: every column of X is admissible. What is taken from the
    code as given: the reading of files, and that packed sums (_pack, _unpack) are the sums of their slots. *)

From Coq Require Import Reals Lra Lia ZArith List Bool Classical.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Recession Dual.
Import ListNotations.
Open Scope R_scope.

(** ** Sums and maxima of integers *)

Fixpoint ZSum (n : nat) (f : nat -> Z) : Z := match n with O => 0%Z | S m => (ZSum m f + f m)%Z end.

Lemma IZR_ZSum n f : IZR (ZSum n f) = Sum n (fun i => IZR (f i)).
Proof. induction n; simpl; [reflexivity|]. now rewrite plus_IZR, IHn. Qed.

(** Python's all(... for i in range(n)) and any(...). *)
Definition all_below (n : nat) (f : nat -> bool) : bool := forallb f (seq 0 n).
Definition any_below (n : nat) (f : nat -> bool) : bool := existsb f (seq 0 n).

Lemma all_below_spec n f : all_below n f = true <-> forall i, (i < n)%nat -> f i = true.
Proof.
  unfold all_below. rewrite forallb_forall. split; intros H i Hi; apply H; [apply in_seq; lia|apply in_seq in Hi; lia].
Qed.

Lemma any_below_spec n f : any_below n f = true <-> exists i, (i < n)%nat /\ f i = true.
Proof.
  unfold any_below. rewrite existsb_exists. split; intros [i [Hi E]]; exists i; split; auto;
  [apply in_seq in Hi; lia|apply in_seq; lia].
Qed.

(** max(z): the largest of z_0, ..., z_(n-1). *)
Fixpoint ZMax (n : nat) (f : nat -> Z) : Z :=
  match n with O => 0%Z | S O => f 0%nat | S m => Z.max (ZMax m f) (f m) end.

Lemma ZMax_S n f : (0 < n)%nat -> ZMax (S n) f = Z.max (ZMax n f) (f n).
Proof. destruct n; [lia|reflexivity]. Qed.

Lemma IZR_ZMax n f : IZR (ZMax n f) = Max n (fun i => IZR (f i)).
Proof.
  induction n as [|n IH]; [reflexivity|]. destruct (Nat.eq_dec n 0) as [->|pos]; [reflexivity|].
  rewrite ZMax_S, Max_S, <- IH by lia. destruct (Z.max_spec (ZMax n f) (f n)) as [[l ->]|[l ->]].
  - rewrite Rmax_right; [reflexivity|]. apply IZR_le; lia.
  - rewrite Rmax_left; [reflexivity|]. now apply IZR_le.
Qed.

(** ** The problem as the checker reads it *)

(** Column d of X holds the integers x_nd over one denominator; a target is zero or not, a weight is zero or not. *)
Record data := {
  rows : nat;
  labels : nat;
  columns : nat;
  integer : nat -> nat -> Z;
  denominator : nat -> Z;
  supported : nat -> nat -> bool;
  idle : nat -> bool;
}.

(** The real problem p is the one that these integers describe. *)
Definition describes (a : data) (p : problem) : Prop :=
  rows a = samples p /\ labels a = classes p /\ columns a = features p /\
  (forall d, (d < columns a)%nat -> (0 < denominator a d)%Z) /\
  (forall n d, (n < rows a)%nat -> (d < columns a)%nat -> input p n d = IZR (integer a n d) / IZR (denominator a d)) /\
  (forall n j, (n < rows a)%nat -> (j < labels a)%nat -> supported a n j = false <-> target p n j = 0) /\
  (forall n, (n < rows a)%nat -> idle a n = true <-> weight p n = 0).

Section Checker.
  Variable a : data.
  Notation N := (rows a).
  Notation C := (labels a).
  Notation D := (columns a).

  (** *** What the checker computes *)

  (** `_logits`: the rows of X V^T, up to one positive factor. v_cd are the integers of the direction, `least` is a common
      multiple of the denominators of the columns where v is not 0. *)
  Definition logits (v : nat -> nat -> Z) (least : Z) (n c : nat) : Z :=
    ZSum D (fun d => integer a n d * (v c d * (least / denominator a d)))%Z.

  Definition common_multiple (v : nat -> nat -> Z) (least : Z) : bool :=
    (0 <? least)%Z &&
    all_below D (fun d => all_below C (fun c => (v c d =? 0)%Z || (least mod denominator a d =? 0)%Z)).

  (** `_pairs`: z[j] < top *)
  Definition apart (z : nat -> nat -> Z) (n j : nat) : bool := (z n j <? ZMax C (z n))%Z.

  (** A pair (n, j): the weight of sample n is not 0, the target of class j is. *)
  Definition is_pair (n j : nat) : bool := negb (idle a n) && negb (supported a n j).

  (** `_pairs` refuses a V that leaves a class behind where t > 0. *)
  Definition none_left_behind (z : nat -> nat -> Z) : bool :=
    all_below N (fun n => idle a n || all_below C (fun j => negb (supported a n j) || negb (apart z n j))).

  (** `_pairs` refuses a G that is not 0 on a row of weight 0. *)
  Definition idle_rows_zero (g : nat -> nat -> Z) : bool :=
    all_below N (fun n => negb (idle a n) || all_below C (fun j => (g n j =? 0)%Z)).

  (** The loop of `check`: every pair is right; and whether there is a pair of a kind. *)
  Definition every_pair (right : nat -> nat -> bool) : bool :=
    all_below N (fun n => all_below C (fun j => negb (is_pair n j) || right n j)).
  Definition some_pair (right : nat -> nat -> bool) : bool :=
    any_below N (fun n => any_below C (fun j => is_pair n j && right n j)).

  (** *** What these tests say about the real problem *)

  Variable p : problem.
  Hypothesis reads : describes a p.

  Lemma is_pair_spec n j : (n < N)%nat -> (j < C)%nat -> is_pair n j = true <-> pair p n j.
  Proof.
    destruct reads as [eN [eC [_ [_ [_ [sup idl]]]]]]. intros Hn Hj. unfold is_pair, pair.
    rewrite andb_true_iff, !negb_true_iff, <- eN, <- eC, (sup n j Hn Hj).
    assert (w := weight_nonneg p n). rewrite <- eN in w. specialize (w Hn).
    assert (E : idle a n = false <-> 0 < weight p n).
    { destruct (idle a n) eqn:i; split; intros H; try easy.
      - apply (idl n Hn) in i. lra.
      - destruct (Req_dec (weight p n) 0) as [z|z]; [apply (idl n Hn) in z; congruence|lra]. }
    rewrite E. tauto.
  Qed.

  Lemma every_pair_spec right : every_pair right = true <-> forall n j, pair p n j -> right n j = true.
  Proof.
    destruct reads as [eN [eC _]]. unfold every_pair. rewrite all_below_spec. split.
    - intros H n j pr. assert (Hn : (n < N)%nat) by (rewrite eN; apply pr). assert (Hj : (j < C)%nat) by (rewrite eC; apply pr).
      specialize (H n Hn). rewrite all_below_spec in H. specialize (H j Hj). apply is_pair_spec in pr; auto.
      rewrite pr in H. exact H.
    - intros H n Hn. apply all_below_spec. intros j Hj. destruct (is_pair n j) eqn:E; simpl; auto.
      apply H. now apply is_pair_spec.
  Qed.

  Lemma some_pair_spec right : some_pair right = true <-> exists n j, pair p n j /\ right n j = true.
  Proof.
    destruct reads as [eN [eC _]]. unfold some_pair. rewrite any_below_spec. split.
    - intros [n [Hn H]]. apply any_below_spec in H. destruct H as [j [Hj H]]. apply andb_true_iff in H. destruct H as [pr r].
      exists n, j. split; auto. now apply is_pair_spec.
    - intros [n [j [pr r]]]. assert (Hn : (n < N)%nat) by (rewrite eN; apply pr). assert (Hj : (j < C)%nat) by (rewrite eC; apply pr).
      exists n. split; auto. apply any_below_spec. exists j. split; auto. apply andb_true_iff. split; auto. now apply is_pair_spec.
  Qed.

  (** The direction that the integers v over the denominator q stand for. *)
  Definition direction (v : nat -> nat -> Z) (q : Z) : matrix := fun c d => IZR (v c d) / IZR q.

  Lemma logits_spec v q least n c : (0 < q)%Z -> common_multiple v least = true -> (n < N)%nat -> (c < C)%nat ->
    IZR (logits v least n c) = IZR least * IZR q * logit p (direction v q) n c.
  Proof.
    destruct reads as [eN [_ [eD [den [inp _]]]]]. intros q0 ok Hn Hc. unfold common_multiple in ok.
    apply andb_true_iff in ok. destruct ok as [l0 div]. rewrite all_below_spec in div.
    unfold logits, logit. rewrite IZR_ZSum, <- eD, <- Sum_scal. apply Sum_ext. intros d Hd.
    rewrite inp by auto. specialize (div d Hd). rewrite all_below_spec in div. specialize (div c Hc). specialize (den d Hd).
    assert (d0 : IZR (denominator a d) <> 0) by (apply not_0_IZR; lia). assert (q1 : IZR q <> 0) by (apply not_0_IZR; lia).
    apply orb_true_iff in div. unfold direction. rewrite !mult_IZR. destruct div as [zero|div].
    { apply Z.eqb_eq in zero. rewrite zero. field. auto. }
    apply Z.eqb_eq in div.
    assert (E : (least = denominator a d * (least / denominator a d))%Z) by (apply Z.div_exact; lia).
    rewrite E at 2. rewrite mult_IZR. field. auto.
  Qed.

  (** The logits' order is that of V x_n, the factor being positive. *)
  Lemma apart_spec v q least n j : (0 < q)%Z -> common_multiple v least = true -> (n < N)%nat -> (j < C)%nat ->
    apart (logits v least) n j = true <-> 0 < margin p (direction v q) n j.
  Proof.
    intros q0 ok Hn Hj. unfold apart, margin. rewrite Z.ltb_lt.
    assert (f : 0 < IZR least * IZR q).
    { apply Rmult_lt_0_compat; apply (IZR_lt 0); auto. unfold common_multiple in ok.
      apply andb_true_iff in ok. destruct ok as [l0 _]. now apply Z.ltb_lt. }
    assert (E : IZR (ZMax C (logits v least n)) = IZR least * IZR q * Max (classes p) (logit p (direction v q) n)).
    { rewrite IZR_ZMax. destruct reads as [_ [eC _]]. rewrite eC, <- Max_scal; [|apply classes_pos|lra].
      apply Max_ext. intros. apply logits_spec; auto. now rewrite eC. }
    assert (E' := logits_spec v q least n j q0 ok Hn Hj). split; intros H.
    - apply IZR_lt in H. rewrite E, E' in H. nra.
    - apply lt_IZR. rewrite E, E'. nra.
  Qed.

  (** `_pairs` does not refuse V: it is a recession direction. *)
  Lemma none_left_behind_spec v q least : (0 < q)%Z -> common_multiple v least = true ->
    none_left_behind (logits v least) = true -> recession_direction p (direction v q).
  Proof.
    intros q0 ok H n Hn sn i Hi ti j Hj. destruct reads as [eN [eC [_ [_ [_ [sup idl]]]]]].
    unfold none_left_behind in H. rewrite all_below_spec in H. assert (Hn' : (n < N)%nat) by (rewrite eN; auto).
    specialize (H n Hn'). apply orb_true_iff in H. destruct H as [H|H]; [apply (idl n Hn') in H; lra|].
    rewrite all_below_spec in H. assert (Hi' : (i < C)%nat) by (rewrite eC; auto). specialize (H i Hi').
    apply orb_true_iff in H. destruct H as [H|H]; apply negb_true_iff in H.
    - apply (sup n i Hn' Hi') in H. lra.
    - assert (M := Max_ge (classes p) (logit p (direction v q) n) j Hj).
      destruct (Rle_dec (logit p (direction v q) n j) (logit p (direction v q) n i)) as [|no]; auto.
      enough (apart (logits v least) n i = true) by congruence.
      apply (apart_spec v q); auto. unfold margin. lra.
  Qed.

  (** A pair with a margin > 0 shows that V is outside the kernel. *)
  Lemma margin_outside_kernel V n j : pair p n j -> 0 < margin p V n j -> ~ kernel p V.
  Proof.
    intros [Hn [sn [Hj _]]] pos ker. destruct (ker n Hn sn) as [b const]. unfold margin in pos.
    rewrite const in pos by auto.
    assert (M := Max_le (classes p) (logit p V n) b (classes_pos p)).
    enough (Max (classes p) (logit p V n) <= b) by lra. apply M. intros i Hi. rewrite const by auto. lra.
  Qed.

  (** *** The direction proofs *)

  (** What `check` tests for the proof "direction" of every type: V is not refused, and some margin is > 0. *)
  Definition direction_ok (v : nat -> nat -> Z) (q least : Z) : bool :=
    (0 <? q)%Z && common_multiple v least && none_left_behind (logits v least) && some_pair (apart (logits v least)).

  Lemma direction_ok_separates v q least : direction_ok v q least = true -> separates p (direction v q).
  Proof.
    unfold direction_ok. rewrite !andb_true_iff, Z.ltb_lt. intros [[[q0 ok] behind] some]. split.
    - now apply none_left_behind_spec with least.
    - apply some_pair_spec in some. destruct some as [n [j [pr ap]]].
      apply (margin_outside_kernel _ n j pr). apply (apart_spec v q least) in ap; auto.
      + destruct reads as [eN _]. rewrite eN. apply pr.
      + destruct reads as [_ [eC _]]. rewrite eC. apply pr.
  Qed.

  (** "NOT_ATTAINED": the verdict of type open. *)
  Theorem checker_not_attained v q least : direction_ok v q least = true -> ~ attained p.
  Proof. intros H. apply (S9_not_attained p (direction v q)). now apply direction_ok_separates with least. Qed.

  (** "NOT_ATTAINED, complete": moreover every pair is apart. *)
  Definition complete_ok (v : nat -> nat -> Z) (q least : Z) : bool :=
    direction_ok v q least && every_pair (apart (logits v least)).

  Theorem checker_complete v q least : complete_ok v q least = true -> ~ attained p /\ complete_separation p.
  Proof.
    unfold complete_ok. rewrite andb_true_iff. intros [ok all]. split; [now apply (checker_not_attained v q least)|].
    exists (direction v q). split; [now apply direction_ok_separates with least|].
    intros n j pr. apply (apart_spec v q least).
    - unfold direction_ok in ok. rewrite !andb_true_iff, Z.ltb_lt in ok. tauto.
    - unfold direction_ok in ok. rewrite !andb_true_iff in ok. tauto.
    - destruct reads as [eN _]. rewrite eN. apply pr.
    - destruct reads as [_ [eC _]]. rewrite eC. apply pr.
    - rewrite every_pair_spec in all. auto.
  Qed.

  (** *** The multipliers *)

  (** A block of `multipliers`: integers over one positive denominator, in some rows. *)
  Definition block : Type := (Z * (nat -> option (nat -> Z)))%type.

  Definition entry (b : block) (n j : nat) : Z := match snd b n with Some row => row j | None => 0%Z end.

  (** The matrix G that the blocks stand for: the sum of their entries over their denominators. *)
  Fixpoint G (blocks : list block) (n j : nat) : R :=
    match blocks with [] => 0 | b :: rest => IZR (entry b n j) / IZR (fst b) + G rest n j end.

  (** One row of G up to a positive factor, as the code adds it up: (row, q) at first, then (q before + p row, p q). *)
  Fixpoint row_of (blocks : list block) (n : nat) (before : option ((nat -> Z) * Z)) : option ((nat -> Z) * Z) :=
    match blocks with
    | [] => before
    | (q, B) :: rest =>
        row_of rest n
          match B n, before with
          | None, _ => before
          | Some row, None => Some (row, q)
          | Some row, Some (old, f) => Some (fun j => q * old j + f * row j, f * q)%Z
          end
    end.

  Definition g_row (blocks : list block) (n j : nat) : Z :=
    match row_of blocks n None with Some (row, _) => row j | None => 0%Z end.

  Definition value (before : option ((nat -> Z) * Z)) (j : nat) : R :=
    match before with Some (row, f) => IZR (row j) / IZR f | None => 0 end.
  Definition positive_factor (before : option ((nat -> Z) * Z)) : Prop :=
    match before with Some (_, f) => (0 < f)%Z | None => True end.

  Lemma row_of_spec blocks n : (forall b, In b blocks -> (0 < fst b)%Z) -> forall before, positive_factor before ->
    positive_factor (row_of blocks n before) /\
    forall j, value (row_of blocks n before) j = value before j + G blocks n j.
  Proof.
    induction blocks as [|[q B] rest IH]; intros pos before bpos; simpl.
    - split; auto. intros. ring.
    - assert (q0 : (0 < q)%Z) by (apply (pos (q, B)); simpl; auto).
      assert (q1 : IZR q <> 0) by (apply not_0_IZR; lia).
      assert (pos' : forall b, In b rest -> (0 < fst b)%Z) by (intros; apply pos; simpl; auto).
      unfold entry. simpl. destruct (B n) as [row|].
      + destruct before as [[old f]|].
        * simpl in bpos. assert (f1 : IZR f <> 0) by (apply not_0_IZR; lia).
          destruct (IH pos' (Some (fun j => q * old j + f * row j, f * q)%Z)) as [H1 H2]; [simpl; nia|].
          split; auto. intros j. rewrite H2. simpl. rewrite plus_IZR, !mult_IZR. field. auto.
        * destruct (IH pos' (Some (row, q))) as [H1 H2]; [exact q0|]. split; auto. intros j. rewrite H2. simpl. ring.
      + destruct (IH pos' before) as [H1 H2]; auto. split; auto. intros j. rewrite H2. unfold Rdiv. ring.
  Qed.

  (** The integer row is the row of G times a positive number. *)
  Lemma g_row_spec blocks n : (forall b, In b blocks -> (0 < fst b)%Z) ->
    exists f, 0 < f /\ forall j, IZR (g_row blocks n j) = f * G blocks n j.
  Proof.
    intros pos. destruct (row_of_spec blocks n pos None I) as [f0 val]. unfold g_row.
    destruct (row_of blocks n None) as [[row f]|].
    - simpl in f0. exists (IZR f). split; [now apply (IZR_lt 0)|]. intros j. specialize (val j). simpl in val.
      rewrite Rplus_0_l in val. rewrite <- val. field. apply not_0_IZR. lia.
    - exists 1. split; [lra|]. intros j. specialize (val j). simpl in val. rewrite <- (Rplus_0_l (G blocks n j)), <- val. ring.
  Qed.

  (** `_multipliers`: sums[d] adds up common // q times the block's sum; zero means X^T G = 0 in that column. *)
  Fixpoint column_total (blocks : list block) (common : Z) (d j : nat) : Z :=
    match blocks with
    | [] => 0%Z
    | b :: rest => (common / fst b * ZSum N (fun n => integer a n d * entry b n j) + column_total rest common d j)%Z
    end.

  Definition multipliers_ok (blocks : list block) (common : Z) : bool :=
    (0 <? common)%Z &&
    forallb (fun b => (0 <? fst b)%Z && (common mod fst b =? 0)%Z) blocks &&
    all_below N (fun n => (ZSum C (g_row blocks n) =? 0)%Z) &&
    all_below D (fun d => all_below C (fun j => (column_total blocks common d j =? 0)%Z)) &&
    idle_rows_zero (g_row blocks).

  Lemma column_total_spec blocks common d j : (0 < common)%Z ->
    (forall b, In b blocks -> (0 < fst b)%Z /\ (common mod fst b = 0)%Z) ->
    IZR (column_total blocks common d j) = IZR common * Sum N (fun n => IZR (integer a n d) * G blocks n j).
  Proof.
    intros c0. induction blocks as [|b rest IH]; intros fine; simpl.
    - rewrite Sum_zero; [ring|]. intros. ring.
    - rewrite plus_IZR, mult_IZR, IZR_ZSum, IH by (intros; apply fine; simpl; auto).
      destruct (fine b (or_introl eq_refl)) as [q0 div].
      assert (E : (common = fst b * (common / fst b))%Z) by (apply Z.div_exact; lia).
      assert (q1 : IZR (fst b) <> 0) by (apply not_0_IZR; lia).
      rewrite <- !Sum_scal, <- Sum_plus. apply Sum_ext. intros n Hn. rewrite mult_IZR.
      rewrite E at 2 3. rewrite !mult_IZR. field. auto.
  Qed.

  Lemma multipliers_ok_spec blocks common : multipliers_ok blocks common = true -> multipliers p (G blocks).
  Proof.
    destruct reads as [eN [eC [eD [den [inp [sup idl]]]]]].
    unfold multipliers_ok, idle_rows_zero. rewrite !andb_true_iff, Z.ltb_lt, forallb_forall, !all_below_spec.
    intros [[[[c0 fine] rows0] cols0] idle0].
    assert (fine' : forall b, In b blocks -> (0 < fst b)%Z /\ (common mod fst b = 0)%Z).
    { intros b i. specialize (fine b i). rewrite andb_true_iff, Z.ltb_lt, Z.eqb_eq in fine. exact fine. }
    assert (pos : forall b, In b blocks -> (0 < fst b)%Z) by (intros b i; apply fine'; auto).
    repeat split.
    - intros n Hn. rewrite <- eN in Hn. rewrite <- eC. destruct (g_row_spec blocks n pos) as [f [f0 val]].
      specialize (rows0 n Hn). apply Z.eqb_eq in rows0. apply (f_equal IZR) in rows0. rewrite IZR_ZSum in rows0.
      rewrite (Sum_ext C _ (fun j => f * G blocks n j)), Sum_scal in rows0 by (intros; apply val).
      apply Rmult_integral in rows0. destruct rows0; [lra|auto].
    - intros j d Hj Hd. rewrite <- eC in Hj. rewrite <- eD in Hd. rewrite <- eN.
      specialize (cols0 d Hd). rewrite all_below_spec in cols0. specialize (cols0 j Hj). apply Z.eqb_eq in cols0.
      assert (E := column_total_spec blocks common d j c0 fine'). rewrite cols0 in E. symmetry in E.
      apply Rmult_integral in E. destruct E as [E|E]; [apply eq_IZR in E; lia|].
      specialize (den d Hd). assert (d0 : IZR (denominator a d) <> 0) by (apply not_0_IZR; lia).
      rewrite (Sum_ext N _ (fun n => / IZR (denominator a d) * (IZR (integer a n d) * G blocks n j))).
      + rewrite Sum_scal, E. ring.
      + intros n Hn. rewrite inp by auto. field. auto.
    - intros n j Hn Hj sn. rewrite <- eN in Hn. rewrite <- eC in Hj. apply (idl n Hn) in sn.
      specialize (idle0 n Hn). rewrite sn in idle0. simpl in idle0. rewrite all_below_spec in idle0.
      specialize (idle0 j Hj). apply Z.eqb_eq in idle0. destruct (g_row_spec blocks n pos) as [f [f0 val]].
      specialize (val j). rewrite idle0 in val. symmetry in val. apply Rmult_integral in val. destruct val; [lra|auto].
  Qed.

  (** The sign of the integer is that of G. *)
  Lemma multipliers_sign blocks common n j : multipliers_ok blocks common = true ->
    ((0 < g_row blocks n j)%Z <-> 0 < G blocks n j) /\ ((0 <= g_row blocks n j)%Z <-> 0 <= G blocks n j).
  Proof.
    unfold multipliers_ok. rewrite !andb_true_iff, forallb_forall. intros [[[[_ fine] _] _] _].
    destruct (g_row_spec blocks n) as [f [f0 val]].
    { intros b i. specialize (fine b i). rewrite andb_true_iff, Z.ltb_lt in fine. tauto. }
    specialize (val j). split; split; intros H.
    - apply IZR_lt in H. rewrite val in H. nra.
    - apply lt_IZR. rewrite val. nra.
    - apply IZR_le in H. rewrite val in H. nra.
    - apply le_IZR. rewrite val. nra.
  Qed.

  (** "ATTAINED" by multipliers: G > 0 on every pair. *)
  Definition attained_ok (blocks : list block) (common : Z) : bool :=
    multipliers_ok blocks common && every_pair (fun n j => (0 <? g_row blocks n j)%Z).

  Theorem checker_attained blocks common : attained_ok blocks common = true -> attained p.
  Proof.
    unfold attained_ok. rewrite andb_true_iff. intros [ok all]. apply (S10_sufficient_absorbed p (G blocks)).
    - now apply multipliers_ok_spec with common.
    - rewrite every_pair_spec in all. intros n j pr. apply all in pr. apply Z.ltb_lt in pr.
      now apply (multipliers_sign blocks common).
  Qed.

  (** "ATTAINED" by positive targets: there is no pair. *)
  Theorem checker_positive_targets : every_pair (fun _ _ => false) = true -> attained p.
  Proof.
    rewrite every_pair_spec. intros none. apply S9_positive_targets. intros n i Hn sn Hi.
    destruct (Req_dec (target p n i) 0) as [z|z]; [|assert (t := target_nonneg p n i Hn Hi); lra].
    enough (false = true) by discriminate. apply (none n i). repeat split; auto.
  Qed.

  (** Not complete by G: G >= 0 on every pair, and > 0 on some. *)
  Definition not_complete_ok (blocks : list block) (common : Z) : bool :=
    multipliers_ok blocks common && every_pair (fun n j => (0 <=? g_row blocks n j)%Z)
    && some_pair (fun n j => (0 <? g_row blocks n j)%Z).

  Theorem checker_not_complete blocks common : not_complete_ok blocks common = true -> ~ complete_separation p.
  Proof.
    unfold not_complete_ok. rewrite !andb_true_iff, every_pair_spec, some_pair_spec. intros [[ok all] [n [j [pr pos]]]].
    apply (S10_Gordan_not_complete p (G blocks)).
    - now apply multipliers_ok_spec with common.
    - intros m i pr'. apply all in pr'. apply Z.leb_le in pr'. now apply (multipliers_sign blocks common).
    - exists n, j. split; auto. apply Z.ltb_lt in pos. now apply (multipliers_sign blocks common).
  Qed.

  (** "NOT_ATTAINED, quasi-complete": V separates, and where V has no margin G is > 0 (face_maximal) or >= 0; G > 0 on
      some pair without a margin. *)
  Definition quasi_complete_ok (maximal : bool) (v : nat -> nat -> Z) (q least : Z) (blocks : list block) (common : Z) : bool :=
    direction_ok v q least && multipliers_ok blocks common &&
    every_pair (fun n j => (0 <? g_row blocks n j)%Z || ((g_row blocks n j =? 0)%Z && (apart (logits v least) n j || negb maximal)))
    && some_pair (fun n j => negb (apart (logits v least) n j) && (0 <? g_row blocks n j)%Z).

  Theorem checker_quasi_complete maximal v q least blocks common :
    quasi_complete_ok maximal v q least blocks common = true ->
    ~ attained p /\ ~ complete_separation p /\
    (maximal = true -> forall V, recession_direction p V -> forall n j, pair p n j -> 0 < margin p V n j ->
      0 < margin p (direction v q) n j).
  Proof.
    unfold quasi_complete_ok. rewrite !andb_true_iff, every_pair_spec, some_pair_spec.
    intros [[[dir ok] all] [n [j [pr some]]]]. apply andb_true_iff in some. destruct some as [_ pos].
    assert (mult := multipliers_ok_spec _ _ ok).
    assert (nonneg : forall n j, pair p n j -> 0 <= G blocks n j).
    { intros m i pr'. apply (multipliers_sign blocks common); auto. apply all in pr'. apply orb_true_iff in pr'.
      destruct pr' as [H|H]; [apply Z.ltb_lt in H; lia|]. apply andb_true_iff in H. destruct H as [H _].
      apply Z.eqb_eq in H. lia. }
    split; [now apply (checker_not_attained v q least)|]. split.
    - apply (S10_Gordan_not_complete p (G blocks)); auto. exists n, j. split; auto. apply Z.ltb_lt in pos.
      now apply (multipliers_sign blocks common).
    - intros -> V rec m i pr' mar. specialize (all m i pr'). apply orb_true_iff in all. destruct all as [H|H].
      + exfalso. apply Z.ltb_lt in H. apply (multipliers_sign blocks common) in H; auto.
        rewrite (S10_Gordan p (G blocks) V) in mar; auto. lra.
      + apply andb_true_iff in H. destruct H as [_ H]. rewrite orb_false_r in H.
        unfold direction_ok in dir. rewrite !andb_true_iff, Z.ltb_lt in dir. destruct dir as [[[q0 cm] _] _].
        destruct reads as [eN [eC _]]. apply (apart_spec v q least); auto; [rewrite eN|rewrite eC]; apply pr'.
  Qed.
End Checker.
