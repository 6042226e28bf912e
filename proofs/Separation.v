(** * S9, the rest: the slope at infinity, the infimum under complete separation, absent classes (docs/theory.md, S9) *)

From Coq Require Import Reals Lra Lia List Classical.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Curvature Convergence Recession Face.
Open Scope R_scope.

(** ** The slope at infinity *)

Section Slope.
  Variable p : problem.
  Notation N := (samples p).
  Notation C := (classes p).
  Notation T := (target p).
  Notation s := (weight p).

  (** |z_0| + ... + |z_(C-1)| *)
  Definition size1 (z : nat -> R) : R := Sum C (fun i => Rabs (z i)).

  (** L(W + a V) differs from a L_oo(V) by a bounded amount. *)
  Lemma loss_along W V : exists B, forall a, 0 <= a -> Rabs (loss p (move W a V) - a * recession p V) <= B.
  Proof.
    exists (Sum N (fun n => s n * (Rabs (lse C (logit p W n)) + size1 (logit p W n) + Rabs (target_mean p W n)))).
    intros a a0. unfold recession, loss. rewrite <- Sum_scal, <- Sum_minus.
    assert (tri : forall m f g, (forall i, (i < m)%nat -> Rabs (f i) <= g i) -> Rabs (Sum m f) <= Sum m g).
    { clear. induction m as [|m IH]; intros f g H; simpl; [rewrite Rabs_R0; lra|].
      apply Rle_trans with (1 := Rabs_triang _ _). apply Rplus_le_compat; [apply IH; intros; apply H; lia|apply H; lia]. }
    apply tri. intros n Hn. assert (w := weight_nonneg p n Hn).
    change (Sum C (fun i => T n i * logit p (move W a V) n i)) with (target_mean p (move W a V) n).
    rewrite target_mean_move. set (M := Max C (logit p V n)).
    replace (s n * (lse C (logit p (move W a V) n) - (target_mean p W n + a * target_mean p V n))
      - a * (s n * (M - target_mean p V n)))
      with (s n * (lse C (logit p (move W a V) n) - a * M - target_mean p W n)) by ring.
    rewrite Rabs_mult, (Rabs_pos_eq (s n)) by auto. apply Rmult_le_compat_l; [auto|].
    (* a M + z_k <= lse (z + a v) <= lse z + a M, k the class of the maximum *)
    assert (up : lse C (logit p (move W a V) n) <= lse C (logit p W n) + a * M).
    { apply lse_le; [apply classes_pos|]. intros i Hi. rewrite logit_move.
      assert (H := Max_ge C (logit p V n) i Hi). fold M in H. nra. }
    destruct (Max_attained C (logit p V n) (classes_pos p)) as [k [Hk E]]. fold M in E.
    assert (low := lse_ge C (logit p (move W a V) n) k Hk). rewrite logit_move, <- E in low.
    assert (zk : Rabs (logit p W n k) <= size1 (logit p W n))
      by (apply (Sum_term_le C (fun i => Rabs (logit p W n i))); auto; intros; apply Rabs_pos).
    assert (A := Rle_abs (lse C (logit p W n))). assert (B := Rabs_pos (lse C (logit p W n))).
    assert (s0 := Rabs_pos (logit p W n k)).
    assert (minus_abs : forall x, - Rabs x <= x) by (intros x; assert (H := Rle_abs (- x)); rewrite Rabs_Ropp in H; lra).
    assert (zk' := minus_abs (logit p W n k)).
    assert (t1 := Rle_abs (target_mean p W n)). assert (t2 := minus_abs (target_mean p W n)).
    apply Rabs_le. lra.
  Qed.

  (** L_oo(V) = lim L(W + a V) / a *)
  Theorem S9_slope_at_infinity W V : is_lim (fun a => loss p (move W a V) / a) p_infty (recession p V).
  Proof.
    destruct (loss_along W V) as [B HB]. apply is_lim_spec. intros eps.
    assert (B0 : 0 <= B) by (apply Rle_trans with (2 := HB 0 (Rle_refl 0)), Rabs_pos).
    assert (e0 := cond_pos eps). exists ((B + 1) / eps). intros a Ha.
    assert (a0 : 0 < a) by (apply Rlt_trans with (2 := Ha); apply Rdiv_lt_0_compat; lra).
    replace (loss p (move W a V) / a - recession p V) with ((loss p (move W a V) - a * recession p V) / a) by (field; lra).
    unfold Rdiv. rewrite Rabs_mult, (Rabs_pos_eq (/ a)) by (left; now apply Rinv_0_lt_compat).
    apply Rmult_lt_reg_r with a; [auto|]. rewrite Rmult_assoc, Rinv_l, Rmult_1_r by lra.
    apply Rle_lt_trans with (1 := HB a (Rlt_le _ _ a0)).
    apply Rmult_lt_compat_r with (r := eps) in Ha; [|auto]. unfold Rdiv in Ha. rewrite Rmult_assoc, Rinv_l in Ha by lra. lra.
  Qed.
End Slope.

(** ** The infimum under complete separation *)

(** Only the support is kept. *)
Definition support_kept p (n i : nat) : bool := if Rlt_dec 0 (target p n i) then true else false.

Section Complete.
  Variable p : problem.
  Notation N := (samples p).
  Notation C := (classes p).
  Notation T := (target p).
  Notation s := (weight p).

  (** The loss restricted to the supports. *)
  Definition support_loss (W : matrix) : R := face_loss p (support_kept p) W.

  Lemma support_kept_spec n i : support_kept p n i = true <-> 0 < T n i.
  Proof. unfold support_kept. destruct (Rlt_dec 0 (T n i)); split; congruence || tauto. Qed.

  (** It attains its minimum, whatever the data. *)
  Theorem S9_support_loss_attained : exists W, forall U, support_loss W <= support_loss U.
  Proof.
    apply face_attained.
    - intros n i _ _. apply support_kept_spec.
    - intros V zero n Hn sn i Hi ki. apply support_kept_spec in ki.
      apply (face_recession_zero p (support_kept p)); auto. intros m k _ _. apply support_kept_spec.
  Qed.

  (** Under complete separation inf L is the minimum of the loss restricted to the supports ... *)
  Theorem S9_complete_infimum : complete_separation p ->
    exists W, (forall U, support_loss W <= support_loss U) /\ infimum p (support_loss W).
  Proof.
    intros [V [[dir _] apart]]. destruct S9_support_loss_attained as [W least]. exists W. split; auto.
    apply (face_infimum p (support_kept p) (fun n i _ _ => proj2 (support_kept_spec n i)) V W); auto.
    intros n j Hn sn Hj kj. apply apart. repeat split; auto.
    assert (t := target_nonneg p n j Hn Hj). destruct t as [pos|z]; auto. apply support_kept_spec in pos. congruence.
  Qed.

  (** ... which is 0 for one-hot targets. *)
  Theorem S9_complete_one_hot : complete_separation p ->
    (forall n i, (n < N)%nat -> (i < C)%nat -> T n i = 0 \/ T n i = 1) -> infimum p 0.
  Proof.
    intros sep hot. destruct (S9_complete_infimum sep) as [W [_ inf]]. replace 0 with (support_loss W); auto.
    apply Sum_zero. intros n Hn.
    destruct (support_exists C (T n) (fun i => target_nonneg p n i Hn) (target_sum p n Hn)) as [k [Hk tk]].
    assert (Tk : T n k = 1) by (destruct (hot n k Hn Hk); lra).
    (* the other targets are 0 *)
    assert (others : forall i, (i < C)%nat -> i <> k -> T n i = 0).
    { intros i Hi ne. assert (H := Sum_term_le C (fun i => T n i - (if Nat.eqb i k then T n i else 0)) i).
      rewrite Sum_minus, target_sum, (Sum_pick C k (T n) Hk), Tk in H by auto.
      destruct (Nat.eqb_spec i k); [contradiction|]. assert (t0 := target_nonneg p n i Hn Hi).
      enough (T n i - 0 <= 1 - 1) by lra. apply H; auto. intros j Hj. assert (tj := target_nonneg p n j Hn Hj).
      destruct (Nat.eqb j k); lra. }
    assert (E1 : target_mean p W n = logit p W n k).
    { unfold target_mean. rewrite (Sum_ext C _ (fun i => if Nat.eqb i k then logit p W n i else 0)).
      - now apply Sum_pick.
      - intros i Hi. destruct (Nat.eqb_spec i k) as [->|ne]; [rewrite Tk|rewrite others by auto]; ring. }
    assert (E2 : face_lse C (support_kept p n) (logit p W n) = logit p W n k).
    { unfold face_lse, face_sum. rewrite (Sum_ext C _ (fun i => if Nat.eqb i k then exp (logit p W n i) else 0)).
      - rewrite (Sum_pick C k (fun i => exp (logit p W n i)) Hk). apply ln_exp.
      - intros i Hi. unfold mask, support_kept. destruct (Nat.eqb_spec i k) as [->|ne].
        + rewrite Tk. destruct (Rlt_dec 0 1); [ring|lra].
        + rewrite others by auto. destruct (Rlt_dec 0 0); [lra|ring]. }
    rewrite E1, E2. ring.
  Qed.

  (** ** A class in no support *)

  (** It separates as soon as some v has v^T x_n >= 0 for all n, not all 0. *)
  Theorem S9_absent_class c v : (c < C)%nat -> (forall n, (n < N)%nat -> 0 < s n -> T n c = 0) ->
    (forall n, (n < N)%nat -> 0 < s n -> 0 <= dot (features p) v (input p n)) ->
    (exists n, (n < N)%nat /\ 0 < s n /\ 0 < dot (features p) v (input p n)) ->
    separates p (fun i d => if Nat.eqb i c then - v d else 0).
  Proof.
    intros Hc absent nonneg [m [Hm [sm pos]]].
    set (V := fun i d => if Nat.eqb i c then - v d else 0).
    assert (E : forall n i, logit p V n i = if Nat.eqb i c then - dot (features p) v (input p n) else 0).
    { intros n i. unfold logit, V, dot. destruct (Nat.eqb i c).
      - rewrite <- Sum_opp. apply Sum_ext. intros. ring.
      - apply Sum_zero. intros. ring. }
    split.
    - intros n Hn sn i Hi ti j Hj. rewrite !E. assert (H := nonneg n Hn sn).
      destruct (Nat.eqb_spec i c) as [->|ne]; [rewrite (absent n Hn sn) in ti; lra|].
      destruct (Nat.eqb j c); lra.
    - intros ker. destruct (ker m Hm sm) as [a const].
      destruct (support_exists C (T m) (fun i => target_nonneg p m i Hm) (target_sum p m Hm)) as [k [Hk tk]].
      assert (H1 := const k Hk). assert (H2 := const c Hc). rewrite E in H1, H2. rewrite Nat.eqb_refl in H2.
      destruct (Nat.eqb_spec k c) as [->|ne]; [rewrite (absent m Hm sm) in tk; lra|]. lra.
  Qed.
End Complete.

(** Without such a v a minimiser can exist: one feature, the samples 1 and -1, each once in class 0 and once in class 1, and
    a third class that no sample has. *)
Lemma two_points_target n : Sum 3 (fun i => if Nat.eqb i (n mod 2) then 1 else 0) = 1.
Proof. assert (H : (n mod 2 < 2)%nat) by (apply Nat.mod_upper_bound; lia). apply (Sum_pick 3 (n mod 2) (fun _ => 1)). lia. Qed.

Definition two_points : problem :=
  {| samples := 4; classes := 3; features := 1;
     input := fun n _ => if Nat.ltb n 2 then 1 else -1;
     target := fun n i => if Nat.eqb i (n mod 2) then 1 else 0;
     weight := fun _ => 1;
     classes_pos := Nat.lt_0_succ 2;
     weight_nonneg := fun _ _ => Rle_0_1;
     target_nonneg := fun n i _ _ =>
       if Nat.eqb i (n mod 2) as b return 0 <= (if b then 1 else 0) then Rle_0_1 else Rle_refl 0;
     target_sum := fun n _ => two_points_target n |}.

Theorem S9_absent_class_with_minimiser :
  attained two_points /\ forall n, (n < samples two_points)%nat -> target two_points n 2 = 0.
Proof.
  split.
  - apply S9_existence. intros V dir.
    assert (E : forall n i, logit two_points V n i = V i 0%nat * (if Nat.ltb n 2 then 1 else -1))
      by (intros; unfold logit; simpl; ring).
    (* (V x)_j <= (V x)_0 for x = 1 and x = -1 *)
    assert (all : forall j, (j < 3)%nat -> V j 0%nat = V 0%nat 0%nat).
    { intros j Hj.
      assert (H0 := dir 0%nat). assert (H2 := dir 2%nat). simpl in H0, H2.
      specialize (H0 ltac:(lia) Rlt_0_1 0%nat ltac:(lia) Rlt_0_1 j Hj).
      specialize (H2 ltac:(lia) Rlt_0_1 0%nat ltac:(lia) Rlt_0_1 j Hj).
      rewrite !E in H0, H2. simpl in H0, H2. lra. }
    intros n _ _. exists (logit two_points V n 0). intros i Hi. rewrite !E, (all i Hi). reflexivity.
  - intros n Hn. simpl in *. do 4 (destruct n as [|n]; [reflexivity|]). lia.
Qed.
