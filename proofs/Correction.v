(** S10's exact correction: an approximate G becomes one with X^T G = 0 and G 1 = 0 by a change of a few rows. *)

From Coq Require Import Reals Lra Lia.
From Softmax Require Import Sums Problem Bases Recession Dual.
Open Scope R_scope.

Section Correction.
  Variables N C D k : nat.
  Variable X : nat -> nat -> R.
  (** k independent columns F of X, of which every column is a combination. *)
  Variable F : nat -> nat.
  Variable combination : nat -> nat -> R.
  Hypothesis columns_F : forall n d, (n < N)%nat -> (d < D)%nat ->
    X n d = Sum k (fun f => X n (F f) * combination f d).
  (** k rows B such that X_BF has an inverse. *)
  Variable B : nat -> nat.
  Hypothesis B_small : forall b, (b < k)%nat -> (B b < N)%nat.
  Variable inverse : nat -> nat -> R.
  (** X_BF^T inverse = I *)
  Hypothesis inverse_of_X_BF : forall f f', (f < k)%nat -> (f' < k)%nat ->
    Sum k (fun b => X (B b) (F f) * inverse b f') = delta f' f.

  (** G is any matrix, in practice of integers, with G 1 = 0. *)
  Variable G : nat -> nat -> R.
  Hypothesis G_rows : forall n, (n < N)%nat -> Sum C (G n) = 0.

  (** Delta = - X_BF^(-T) X_F^T G, to be added on the rows B. *)
  Definition Delta (b j : nat) : R := - Sum k (fun f => inverse b f * Sum N (fun n => X n (F f) * G n j)).
  Definition corrected (n j : nat) : R := G n j + Sum k (fun b => Delta b j * delta (B b) n).

  (** A sum over all rows meets each row of B once. *)
  Lemma sum_over_B (h : nat -> R) j :
    Sum N (fun n => h n * Sum k (fun b => Delta b j * delta (B b) n)) = Sum k (fun b => h (B b) * Delta b j).
  Proof.
    rewrite (Sum_ext N _ (fun n => Sum k (fun b => Delta b j * (h n * delta n (B b))))).
    - rewrite Sum_swap. apply Sum_ext. intros b Hb. rewrite Sum_scal, (delta_pick N (B b) h) by auto. ring.
    - intros n Hn. rewrite <- Sum_scal. apply Sum_ext. intros b Hb. unfold delta. rewrite (Nat.eqb_sym n (B b)). ring.
  Qed.

  (** X^T (G + Delta) = 0, on every column. *)
  Theorem S10_correction_columns d j :
    (d < D)%nat -> Sum N (fun n => X n d * corrected n j) = 0.
  Proof.
    intros Hd.
    (* on the columns F, X_BF^T Delta = - X_F^T G *)
    assert (HF : forall f, (f < k)%nat -> Sum N (fun n => X n (F f) * corrected n j) = 0).
    { intros f Hf. unfold corrected.
      rewrite (Sum_ext N _ (fun n => X n (F f) * G n j + X n (F f) * Sum k (fun b => Delta b j * delta (B b) n)))
        by (intros; ring).
      rewrite Sum_plus, (sum_over_B (fun n => X n (F f))).
      assert (E : Sum k (fun b => X (B b) (F f) * Delta b j) = - Sum N (fun n => X n (F f) * G n j)); [|rewrite E; ring].
      unfold Delta.
      rewrite (Sum_ext k _ (fun b => - Sum k (fun f' => X (B b) (F f) * inverse b f' * Sum N (fun n => X n (F f') * G n j)))).
      2: { intros b Hb. rewrite Ropp_mult_distr_r_reverse, <- Sum_scal. f_equal. apply Sum_ext. intros. ring. }
      rewrite Sum_opp, Sum_swap. f_equal.
      rewrite <- (delta_pick k f (fun f' => Sum N (fun n => X n (F f') * G n j)) Hf). apply Sum_ext. intros f' Hf'.
      rewrite Sum_scal_r, inverse_of_X_BF by assumption. ring. }
    rewrite (Sum_ext N _ (fun n => Sum k (fun f => X n (F f) * corrected n j * combination f d))).
    - rewrite Sum_swap. apply Sum_zero. intros f Hf. rewrite Sum_scal_r, HF by assumption. ring.
    - intros n Hn. rewrite (columns_F n d Hn Hd), <- Sum_scal_r. apply Sum_ext. intros. ring.
  Qed.

  (** (G + Delta) 1 = 0 *)
  Theorem S10_correction_rows n : (n < N)%nat -> Sum C (corrected n) = 0.
  Proof.
    intros Hn. unfold corrected. rewrite Sum_plus, (G_rows n Hn), Sum_swap, Rplus_0_l. apply Sum_zero. intros b Hb.
    rewrite Sum_scal_r.
    assert (E : Sum C (Delta b) = 0); [|rewrite E; ring].
    unfold Delta. rewrite Sum_opp, Sum_swap, Sum_zero; [ring|]. intros f Hf.
    rewrite Sum_scal, Sum_swap, Sum_zero; [ring|]. intros m Hm. rewrite Sum_scal, (G_rows m Hm). ring.
  Qed.

  (** Rows outside B are as they were: positivity needs to be checked again on B alone. *)
  Theorem S10_correction_elsewhere n j : (forall b, (b < k)%nat -> B b <> n) -> corrected n j = G n j.
  Proof.
    intros H. unfold corrected. rewrite Sum_zero; [ring|]. intros b Hb. unfold delta.
    destruct (Nat.eqb_spec (B b) n) as [E|E]; [now apply H in E|ring].
  Qed.
End Correction.

(** If the corrected multipliers are positive on all pairs, then a minimiser exists. *)
Theorem S10_corrected_attained p k F combination B inverse G :
  (forall n d, (n < samples p)%nat -> (d < features p)%nat ->
     input p n d = Sum k (fun f => input p n (F f) * combination f d)) ->
  (forall b, (b < k)%nat -> (B b < samples p)%nat /\ 0 < weight p (B b)) ->
  (forall f f', (f < k)%nat -> (f' < k)%nat -> Sum k (fun b => input p (B b) (F f) * inverse b f') = delta f' f) ->
  (forall n, (n < samples p)%nat -> Sum (classes p) (G n) = 0) ->
  (forall n j, (n < samples p)%nat -> (j < classes p)%nat -> weight p n = 0 -> G n j = 0) ->
  let G' := corrected (samples p) k (input p) F B inverse G in
  (forall n j, pair p n j -> 0 < G' n j) -> attained p.
Proof.
  intros cF HB inv rows idle G' pos. apply (S10_sufficient_absorbed p G'); auto. repeat split.
  - intros n Hn. apply (S10_correction_rows (samples p) (classes p)); auto.
  - intros j d Hj Hd. rewrite <- (S10_correction_columns (samples p) (features p) k (input p) F combination cF B
      (fun b Hb => proj1 (HB b Hb)) inverse inv G d j Hd). apply Sum_ext. intros. apply Rmult_comm.
  - intros n j Hn Hj z. unfold G'. rewrite S10_correction_elsewhere; auto.
    intros b Hb E. destruct (HB b Hb) as [_ s]. rewrite E in s. lra.
Qed.
