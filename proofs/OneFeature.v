(** S12: separation seen on one feature, and in a fit that has every label right. *)

From Coq Require Import Reals Lra Lia.
From Softmax Require Import Sums Problem Bases Recession.
Open Scope R_scope.

Section OneFeature.
  Variable p : problem.
  Notation N := (samples p).
  Notation C := (classes p).
  Notation D := (features p).
  Notation X := (input p).
  Notation T := (target p).
  Notation s := (weight p).

  (** One-hot targets: sample n is in class label n. *)
  Variable label : nat -> nat.
  Hypothesis label_small : forall n, (n < N)%nat -> (label n < C)%nat.
  Hypothesis one_hot : forall n i, (n < N)%nat -> (i < C)%nat -> T n i = delta i (label n).

  (** A direction is a recession direction if in every sample the label has the largest entry. *)
  Lemma recession_direction_label V :
    (forall n j, (n < N)%nat -> 0 < s n -> (j < C)%nat -> logit p V n j <= logit p V n (label n)) ->
    recession_direction p V.
  Proof.
    intros H n Hn Hs i Hi Hpos j Hj. rewrite one_hot in Hpos by assumption. unfold delta in Hpos.
    destruct (Nat.eqb_spec i (label n)) as [->|]; [now apply H|lra].
  Qed.

  Section Threshold.
    Variables (f bias : nat) (theta : R) (A : nat -> bool).
    Hypothesis f_small : (f < D)%nat.
    Hypothesis bias_small : theta = 0 \/ (bias < D)%nat /\ forall n, (n < N)%nat -> 0 < s n -> X n bias = 1.

    (** sum_(c in A) e_c (x) (e_f - theta e_bias) *)
    Definition threshold_direction : matrix :=
      fun c d => if A c then delta d f - theta * delta d bias else 0.

    (** (V x)_c = x_f - theta for c in A, and 0 otherwise. *)
    Lemma threshold_logit n c :
      (n < N)%nat -> 0 < s n -> logit p threshold_direction n c = if A c then X n f - theta else 0.
    Proof.
      intros Hn Hs. unfold logit, threshold_direction. destruct (A c).
      - rewrite (Sum_ext D _ (fun d => X n d * delta d f - theta * (X n d * delta d bias))) by (intros; ring).
        rewrite Sum_minus, Sum_scal, (delta_pick D f (X n)) by assumption.
        destruct bias_small as [->|[Hb H1]]; [ring|]. rewrite (delta_pick D bias (X n)), H1 by assumption. ring.
      - apply Sum_zero. intros. ring.
    Qed.

    (** If every class lies wholly in x_f >= theta (the set A) or wholly in x_f <= theta, both kinds are there, and some
        sample has x_f <> theta, then this direction separates. *)
    Theorem S12_threshold a c m :
      (forall n, (n < N)%nat -> 0 < s n -> if A (label n) then theta <= X n f else X n f <= theta) ->
      (a < C)%nat -> A a = true -> (c < C)%nat -> A c = false ->
      (m < N)%nat -> 0 < s m -> X m f <> theta -> separates p threshold_direction.
    Proof.
      intros Hside Ha HA Hc HB Hm Hs Hne. split.
      - apply recession_direction_label. intros n j Hn Hsn Hj. rewrite !threshold_logit by assumption.
        specialize (Hside n Hn Hsn). destruct (A j), (A (label n)); lra.
      - intros Hker. destruct (Hker m Hm Hs) as [v Hv].
        assert (E1 := Hv a Ha). assert (E2 := Hv c Hc). rewrite !threshold_logit in E1, E2 by assumption.
        rewrite HA in E1. rewrite HB in E2. lra.
    Qed.
  End Threshold.

  (** A feature that is nowhere negative, positive for some sample and zero for the whole class c: - e_c (x) e_f separates. *)
  Theorem S12_never_in_class f c m :
    (f < D)%nat -> (c < C)%nat ->
    (forall n, (n < N)%nat -> 0 < s n -> 0 <= X n f) -> (forall n, (n < N)%nat -> 0 < s n -> label n = c -> X n f = 0) ->
    (m < N)%nat -> 0 < s m -> 0 < X m f -> separates p (fun i d => - (delta i c * delta d f)).
  Proof.
    intros Hf Hc Hnonneg Hnever Hm Hs Hpos.
    assert (Hlog : forall n i, logit p (fun i d => - (delta i c * delta d f)) n i = - delta i c * X n f).
    { intros n i. unfold logit. rewrite (Sum_ext D _ (fun d => (- delta i c * X n d) * delta d f)) by (intros; ring).
      apply (delta_pick D f (fun d => - delta i c * X n d) Hf). }
    split.
    - apply recession_direction_label. intros n j Hn Hsn Hj. rewrite !Hlog. specialize (Hnonneg n Hn Hsn). unfold delta.
      destruct (Nat.eqb_spec (label n) c) as [E|E].
      + rewrite (Hnever n Hn Hsn E). lra.
      + destruct (Nat.eqb j c); lra.
    - intros Hker. destruct (Hker m Hm Hs) as [v Hv].
      assert (Hother : label m <> c) by (intros E; rewrite (Hnever m Hm Hs E) in Hpos; lra).
      assert (E1 := Hv c Hc). assert (E2 := Hv (label m) (label_small m Hm)). rewrite Hlog in E1, E2. unfold delta in E1, E2.
      rewrite Nat.eqb_refl in E1. destruct (Nat.eqb_spec (label m) c); [contradiction|]. lra.
  Qed.

  (** A fit in which every sample has its own class strictly on top proves complete separation. *)
  Theorem S12_fit W m :
    (2 <= C)%nat -> (m < N)%nat -> 0 < s m ->
    (forall n j, (n < N)%nat -> 0 < s n -> (j < C)%nat -> j <> label n -> logit p W n j < logit p W n (label n)) ->
    complete_separation p.
  Proof.
    intros HC Hm Hs Htop. exists W. split; [split|].
    - apply recession_direction_label. intros n j Hn Hsn Hj.
      destruct (Nat.eq_dec j (label n)) as [->|E]; [lra|]. left. now apply Htop.
    - intros Hker. destruct (Hker m Hm Hs) as [v Hv].
      assert (Hother : exists j, (j < C)%nat /\ j <> label m).
      { destruct (Nat.eq_dec (label m) 0) as [E|E]; [exists 1%nat|exists 0%nat]; lia. }
      destruct Hother as [j [Hj Hne]]. assert (H := Htop m j Hm Hs Hj Hne).
      rewrite (Hv j Hj), (Hv (label m) (label_small m Hm)) in H. lra.
    - intros n j [Hn [Hsn [Hj Hz]]]. unfold margin.
      assert (Hne : j <> label n).
      { intros ->. rewrite one_hot in Hz by assumption. unfold delta in Hz. rewrite Nat.eqb_refl in Hz. lra. }
      assert (H := Htop n j Hn Hsn Hj Hne). assert (H' := Max_ge C (logit p W n) (label n) (label_small n Hn)). lra.
  Qed.
End OneFeature.
