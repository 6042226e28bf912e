(** * S10: multipliers that prove a minimiser exists (docs/theory.md, S10)

    The dual certificate, both directions, and Gordan's variant. *)

From Coq Require Import Reals Lra Lia Classical.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Curvature Descent Recession.
Open Scope R_scope.

Section Dual.
  Variable p : problem.
  Notation N := (samples p).
  Notation C := (classes p).
  Notation D := (features p).
  Notation X := (input p).
  Notation T := (target p).
  Notation s := (weight p).

  (** G 1 = 0 and X^T G = 0, and samples of weight 0 take no part (the weights are absorbed into G). *)
  Definition multipliers (G : nat -> nat -> R) : Prop :=
    (forall n, (n < N)%nat -> Sum C (G n) = 0) /\
    (forall j d, (j < C)%nat -> (d < D)%nat -> Sum N (fun n => G n j * X n d) = 0) /\
    (forall n j, (n < N)%nat -> (j < C)%nat -> s n = 0 -> G n j = 0).

  (** 0 = <V, G^T X> = sum_n sum_j G_nj (V x_n)_j = - sum_nj G_nj margin_nj *)
  Lemma margins_balance G V : multipliers G -> Sum N (fun n => Sum C (fun j => G n j * margin p V n j)) = 0.
  Proof.
    intros [rows [cols _]].
    assert (E : Sum N (fun n => Sum C (fun j => G n j * logit p V n j)) = 0).
    { rewrite <- inner_outer. apply Sum_zero. intros c Hc. apply Sum_zero. intros d Hd. rewrite cols by auto. ring. }
    rewrite (Sum_ext N _ (fun n => - Sum C (fun j => G n j * logit p V n j))); [rewrite Sum_opp, E; ring|].
    intros n Hn. rewrite <- Sum_opp.
    rewrite (Sum_ext C _ (fun j => G n j * Max C (logit p V n) + - (G n j * logit p V n j))).
    - rewrite Sum_plus, Sum_scal_r, rows by auto. ring.
    - intros. unfold margin. ring.
  Qed.

  (** On the supports a recession direction has no margin. *)
  Lemma margin_on_support V n j : recession_direction p V -> (n < N)%nat -> 0 < s n -> (j < C)%nat -> 0 < T n j ->
    margin p V n j = 0.
  Proof.
    intros dir Hn sn Hj tj. apply Rle_antisym; [|now apply margin_nonneg]. unfold margin.
    assert (M := Max_le C (logit p V n) (logit p V n j) (classes_pos p) (dir n Hn sn j Hj tj)). lra.
  Qed.

  (** Gordan's variant: with G >= 0 on the pairs, a pair with G_nj > 0 has margin 0 under every recession direction. *)
  Theorem S10_Gordan G V : multipliers G -> (forall n j, pair p n j -> 0 <= G n j) -> recession_direction p V ->
    forall n j, pair p n j -> 0 < G n j -> margin p V n j = 0.
  Proof.
    intros mult nonneg dir n j pr pos.
    (* no term of the balance is negative, so every term is 0 *)
    assert (terms : forall n j, (n < N)%nat -> (j < C)%nat -> 0 <= G n j * margin p V n j).
    { intros m i Hm Hi. assert (w := weight_nonneg p m Hm). assert (t := target_nonneg p m i Hm Hi).
      assert (g := margin_nonneg p V m i Hi).
      destruct (Req_dec (s m) 0) as [sm|sm].
      { destruct mult as [_ [_ idle]]. rewrite idle by auto. lra. }
      destruct (Req_dec (T m i) 0) as [tm|tm].
      - apply Rmult_le_pos; auto. apply nonneg. repeat split; auto; lra.
      - rewrite margin_on_support; auto; lra. }
    destruct pr as [Hn [sn [Hj tj]]].
    assert (E : Sum C (fun j => G n j * margin p V n j) = 0).
    { apply (Sum_eq_0 N (fun n => Sum C (fun j => G n j * margin p V n j))); auto; [|now apply margins_balance].
      intros. apply Sum_nonneg. intros. now apply terms. }
    apply (Sum_eq_0 C (fun j => G n j * margin p V n j)) with (i := j) in E; auto.
    apply Rmult_integral in E. destruct E; [lra|auto].
  Qed.

  (** ... and one such pair refutes complete separation. *)
  Corollary S10_Gordan_not_complete G : multipliers G -> (forall n j, pair p n j -> 0 <= G n j) ->
    (exists n j, pair p n j /\ 0 < G n j) -> ~ complete_separation p.
  Proof.
    intros mult nonneg [n [j [pr pos]]] [V [[dir _] all]].
    assert (H := all n j pr). rewrite (S10_Gordan G V) in H; auto. lra.
  Qed.

  (** Sufficient: with G > 0 on all pairs the loss attains its minimum. *)
  Theorem S10_sufficient_absorbed G : multipliers G -> (forall n j, pair p n j -> 0 < G n j) -> attained p.
  Proof.
    intros mult pos. apply S9_existence. intros V dir n Hn sn.
    exists (Max C (logit p V n)). intros i Hi.
    enough (margin p V n i = 0) by (unfold margin in *; lra).
    destruct (Req_dec (T n i) 0) as [t|t].
    - assert (pr : pair p n i) by (repeat split; auto).
      apply (S10_Gordan G V); auto. intros. left. auto.
    - apply margin_on_support; auto. assert (H := target_nonneg p n i Hn Hi). lra.
  Qed.

  (** The dual certificate as S10 states it: G 1 = 0, X^T diag(s) G = 0 and G > 0 on the pairs. *)
  Definition dual_certificate (G : nat -> nat -> R) : Prop :=
    (forall n, (n < N)%nat -> Sum C (G n) = 0) /\
    (forall j d, (j < C)%nat -> (d < D)%nat -> Sum N (fun n => s n * G n j * X n d) = 0) /\
    (forall n j, pair p n j -> 0 < G n j).

  Theorem S10_sufficient G : dual_certificate G -> attained p.
  Proof.
    intros [rows [cols pos]]. apply (S10_sufficient_absorbed (fun n j => s n * G n j)).
    - repeat split; auto.
      + intros n Hn. rewrite Sum_scal, rows by auto. ring.
      + intros n j _ _ ->. ring.
    - intros n j pr. apply Rmult_lt_0_compat; [apply pr|auto].
  Qed.

  Lemma gradient_at_minimiser W : minimiser p W -> forall c d, (c < C)%nat -> (d < D)%nat -> gradient p W c d = 0.
  Proof. intros least. now apply norm2_zero, stationary_iff_minimiser. Qed.

  (** Necessary: G = Y - T at a minimiser. *)
  Theorem S10_necessary : attained p -> exists G, dual_certificate G.
  Proof.
    intros [W least]. exists (fun n j => prob p W n j - T n j). repeat split.
    - intros n Hn. rewrite Sum_minus, target_sum by auto. destruct (prob_distribution p W n) as [_ ->]. ring.
    - intros j d Hj Hd. rewrite <- (gradient_at_minimiser W least j d Hj Hd). apply Sum_ext. intros. ring.
    - intros n j [Hn [sn [Hj t]]]. rewrite t. destruct (prob_distribution p W n) as [pos _]. specialize (pos j Hj). lra.
  Qed.

  (** The loss attains its minimum if and only if there is a dual certificate. *)
  Theorem S10_attained_iff : attained p <-> exists G, dual_certificate G.
  Proof. split; [exact S10_necessary|]. intros [G cert]. exact (S10_sufficient G cert). Qed.
End Dual.
