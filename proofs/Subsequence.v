(** A bounded sequence of matrices has a subsequence that converges (Bolzano-Weierstrass). *)

From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem.
Open Scope R_scope.

(** If P j k holds for arbitrarily late k, whatever j, then it holds along some increasing phi. *)
Lemma extract (P : nat -> nat -> Prop) :
  (forall j k, P j k \/ ~ P j k) -> (forall j K, exists k, (K <= k)%nat /\ P j k) ->
  exists phi, (forall j, (phi j < phi (S j))%nat) /\ forall j, P j (phi j).
Proof.
  intros Hdec Hlate.
  assert (next : forall j K, {k | (K <= k)%nat /\ P j k}).
  { intros j K. destruct (LPO (fun k => (K <= k)%nat /\ P j k)) as [H|H].
    - intros k. destruct (le_dec K k); [|right; tauto]. destruct (Hdec j k); tauto.
    - exact H.
    - exfalso. destruct (Hlate j K) as [k Hk]. now apply (H k). }
  exists (fix phi j := match j with
    | O => proj1_sig (next O O)
    | S i => proj1_sig (next (S i) (S (phi i)))
    end).
  split.
  - intros j. destruct (next (S j)) as [k [Hk HP]]. simpl. lia.
  - intros [|j]; [destruct (next O O) as [k [Hk HP]]|destruct (next (S j)) as [k [Hk HP]]]; simpl; assumption.
Qed.

(** One coordinate: the upper limit is the limit of a subsequence. *)
Lemma converging_subsequence (u : nat -> R) B :
  (forall k, Rabs (u k) <= B) ->
  exists phi l, (forall j, (phi j < phi (S j))%nat) /\ is_lim_seq (fun j => u (phi j)) (Finite l).
Proof.
  intros HB. destruct (ex_LimSup_seq u) as [l Hl].
  assert (HB' : forall k, - B <= u k <= B) by (intros k; apply Rabs_le_between, HB).
  destruct l as [l| |]; simpl in Hl.
  2: { destruct (Hl B 0%nat) as [k [_ Hk]]. specialize (HB' k). lra. }
  2: { destruct (Hl (- B)) as [K HK]. specialize (HK K (le_n _)). specialize (HB' K). lra. }
  destruct (extract (fun j k => Rabs (u k - l) < / (INR j + 1))) as [phi [Hphi Hclose]].
  - intros j k. destruct (Rlt_dec (Rabs (u k - l)) (/ (INR j + 1))); tauto.
  - intros j K. assert (Hj : 0 < / (INR j + 1)) by (apply Rinv_0_lt_compat; generalize (pos_INR j); lra).
    destruct (Hl (mkposreal _ Hj)) as [Hoften [K' HK']]; simpl in *.
    destruct (Hoften (max K K')) as [k [Hk Hk']]. exists k. split; [lia|].
    assert (u k < l + / (INR j + 1)) by (apply HK'; lia).
    apply Rabs_lt_between. lra.
  - exists phi, l. split; [assumption|]. apply is_lim_seq_spec. intros eps.
    destruct (archimed_cor1 eps (cond_pos eps)) as [N [HN HN0]]. exists N. intros j Hj.
    eapply Rlt_trans; [apply Hclose|]. eapply Rle_lt_trans; [|exact HN].
    apply Rinv_le_contravar; [apply lt_0_INR; assumption|].
    apply le_INR in Hj. lra.
Qed.

(** m coordinates, one after the other. *)
Lemma converging_subsequence_vector m (u : nat -> nat -> R) B :
  (forall k i, (i < m)%nat -> Rabs (u k i) <= B) ->
  exists phi l, (forall j, (phi j < phi (S j))%nat) /\
    forall i, (i < m)%nat -> is_lim_seq (fun j => u (phi j) i) (Finite (l i)).
Proof.
  induction m as [|m IH]; intros HB.
  - exists (fun j => j), (fun _ => 0). split; [intros; lia|]. intros. lia.
  - destruct IH as [phi [l [Hphi Hl]]]; [intros; apply HB; lia|].
    destruct (converging_subsequence (fun j => u (phi j) m) B) as [psi [a [Hpsi Ha]]]; [intros; apply HB; lia|].
    exists (fun j => phi (psi j)), (fun i => if Nat.eqb i m then a else l i). split.
    + assert (Hmono : forall i j, (i < j)%nat -> (phi i < phi j)%nat).
      { intros i j Hij. induction Hij; [apply Hphi|]. eapply Nat.lt_trans; [eassumption|apply Hphi]. }
      intros j. apply Hmono, Hpsi.
    + intros i Hi. destruct (Nat.eqb_spec i m) as [->|E]; [exact Ha|].
      apply (is_lim_seq_subseq (fun j => u (phi j) i)); [now apply eventually_subseq|apply Hl; lia].
Qed.

(** Matrices: C * D coordinates. *)
Theorem Bolzano_Weierstrass p (W : nat -> matrix) B :
  (forall k c d, (c < classes p)%nat -> (d < features p)%nat -> Rabs (W k c d) <= B) ->
  exists phi M, (forall j, (phi j < phi (S j))%nat) /\
    forall c d, (c < classes p)%nat -> (d < features p)%nat ->
      is_lim_seq (fun j => W (phi j) c d) (Finite (M c d)).
Proof.
  intros HB. set (D := features p) in *. set (C := classes p) in *.
  destruct (converging_subsequence_vector (C * D) (fun k i => W k (i / D) (i mod D)) B)%nat as [phi [l [Hphi Hl]]].
  - intros k i Hi. assert (D <> 0)%nat by (intros E; rewrite E in Hi; lia).
    apply HB; [apply Nat.div_lt_upper_bound; lia|now apply Nat.mod_upper_bound].
  - exists phi, (fun c d => l (c * D + d)%nat). split; [assumption|]. intros c d Hc Hd.
    assert (H := Hl (c * D + d)%nat). rewrite Nat.div_add_l, Nat.div_small, Nat.add_0_r in H by lia.
    rewrite Nat.add_comm, Nat.mod_add, Nat.mod_small in H by lia. rewrite Nat.add_comm. apply H. nia.
Qed.

(** ** Limits of sums and of distances *)

Lemma is_lim_seq_Sum n (f : nat -> nat -> R) (l : nat -> R) :
  (forall i, (i < n)%nat -> is_lim_seq (fun k => f k i) (Finite (l i))) ->
  is_lim_seq (fun k => Sum n (f k)) (Finite (Sum n l)).
Proof.
  induction n as [|n IH]; simpl; intros H; [apply is_lim_seq_const|].
  apply is_lim_seq_plus'; [apply IH; intros; apply H; lia|apply H; lia].
Qed.

(** Entries converge exactly when the distance tends to 0. *)
Theorem entries_converge p (W : nat -> matrix) M :
  (forall c d, (c < classes p)%nat -> (d < features p)%nat -> is_lim_seq (fun k => W k c d) (Finite (M c d)))
  <-> is_lim_seq (fun k => norm2 p (minus (W k) M)) (Finite 0).
Proof.
  split.
  - intros H. replace 0 with (norm2 p (minus M M)).
    2: { apply Sum_zero. intros. apply Sum_zero. intros. unfold minus. ring. }
    apply is_lim_seq_Sum. intros c Hc.
    apply (is_lim_seq_Sum (features p) (fun k d => minus (W k) M c d * minus (W k) M c d)
      (fun d => minus M M c d * minus M M c d)).
    intros d Hd. unfold minus.
    apply is_lim_seq_mult'; (apply is_lim_seq_minus'; [now apply H|apply is_lim_seq_const]).
  - intros H c d Hc Hd. apply is_lim_seq_spec. intros eps.
    assert (He : 0 < eps * eps) by (apply Rmult_lt_0_compat; apply cond_pos).
    apply is_lim_seq_spec in H. destruct (H (mkposreal _ He)) as [K HK]. exists K. intros k Hk.
    specialize (HK k Hk). simpl in HK. rewrite Rminus_0_r, Rabs_pos_eq in HK by apply norm2_nonneg.
    assert (Hentry : (W k c d - M c d)² <= norm2 p (minus (W k) M)).
    { eapply Rle_trans; [|apply (Sum_term_le (classes p)
        (fun c => Sum (features p) (fun d => minus (W k) M c d * minus (W k) M c d)) c)]; [| |assumption].
      - apply (Sum_term_le (features p) (fun d => minus (W k) M c d * minus (W k) M c d) d); [|assumption].
        intros. apply Rle_0_sqr.
      - intros. apply Sum_nonneg. intros. apply Rle_0_sqr. }
    assert (He' := cond_pos eps).
    rewrite <- (Rabs_pos_eq eps) by lra. apply Rsqr_lt_abs_0. unfold Rsqr in *. lra.
Qed.
