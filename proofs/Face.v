(** * The loss with classes dropped from the log-sum-exps (docs/theory.md, S9 and S11)

    For every sample some classes are kept, at least those of its support. The loss with the others dropped attains its
    minimum as soon as its recession directions are constant on what is kept; and if a recession direction of the whole loss
    leaves behind exactly what is dropped, the infimum of the whole loss is that minimum. *)

From Coq Require Import Reals Lra Lia List Classical.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Curvature Convergence Compact Recession.
Open Scope R_scope.

(** ** Log-sum-exp over the classes kept *)

Definition mask (k : nat -> bool) (i : nat) : R := if k i then 1 else 0.
Definition face_sum (C : nat) (k : nat -> bool) (z : nat -> R) : R := Sum C (fun i => mask k i * exp (z i)).
Definition face_lse (C : nat) (k : nat -> bool) (z : nat -> R) : R := ln (face_sum C k z).

Section Mask.
  Variables (C : nat) (t : nat -> R) (k : nat -> bool).
  Hypothesis t_nonneg : forall i, (i < C)%nat -> 0 <= t i.
  Hypothesis t_sum : Sum C t = 1.

  Hypothesis kept_support : forall i, (i < C)%nat -> 0 < t i -> k i = true.

  Lemma mask_nonneg i : 0 <= mask k i.
  Proof. unfold mask. destruct (k i); lra. Qed.

  Lemma term_le_face_sum z i : (i < C)%nat -> k i = true -> exp (z i) <= face_sum C k z.
  Proof.
    intros Hi ki. rewrite <- (Rmult_1_l (exp (z i))). replace 1 with (mask k i) by (unfold mask; now rewrite ki).
    apply (Sum_term_le C (fun i => mask k i * exp (z i))); auto. intros j _.
    apply Rmult_le_pos; [apply mask_nonneg|left; apply exp_pos].
  Qed.

  (** A distribution has a support. *)
  Lemma support_exists : exists i, (i < C)%nat /\ 0 < t i.
  Proof.
    apply NNPP. intros none. enough (Sum C t = 0) by lra. apply Sum_zero. intros i Hi.
    apply Rle_antisym; [|auto]. apply Rnot_lt_le. intros H. apply none. now exists i.
  Qed.

  Lemma face_sum_pos z : 0 < face_sum C k z.
  Proof.
    destruct support_exists as [i [Hi ti]]. apply Rlt_le_trans with (exp (z i)); [apply exp_pos|].
    apply term_le_face_sum; auto.
  Qed.

  Lemma face_lse_ge z i : (i < C)%nat -> k i = true -> z i <= face_lse C k z.
  Proof.
    intros Hi ki. unfold face_lse. rewrite <- (ln_exp (z i)). apply ln_le; [apply exp_pos|now apply term_le_face_sum].
  Qed.

  (** t^T z <= lse over the classes kept *)
  Lemma face_lse_ge_mean z : Sum C (fun i => t i * z i) <= face_lse C k z.
  Proof.
    rewrite <- (Rmult_1_l (face_lse C k z)), <- t_sum, <- Sum_scal_r. apply Sum_le. intros i Hi.
    destruct (t_nonneg i Hi) as [ti|<-]; [|lra]. apply Rmult_le_compat_l; [lra|]. apply face_lse_ge; auto.
  Qed.

  Lemma face_lse_le z z' m : (forall i, (i < C)%nat -> k i = true -> z' i <= z i + m) ->
    face_lse C k z' <= face_lse C k z + m.
  Proof.
    intros le. unfold face_lse. rewrite <- (ln_exp m).
    rewrite <- ln_mult by (try apply exp_pos; apply face_sum_pos).
    apply ln_le; [apply face_sum_pos|]. unfold face_sum. rewrite <- Sum_scal_r. apply Sum_le. intros i Hi.
    unfold mask. destruct (k i) eqn:ki; [|lra]. rewrite !Rmult_1_l, <- exp_plus.
    destruct (Rle_lt_or_eq_dec _ _ (le i Hi ki)) as [l| ->]; [left; now apply exp_increasing|lra].
  Qed.

  (** Dropping classes lowers the log-sum-exp. *)
  Lemma face_lse_le_lse z : face_lse C k z <= lse C z.
  Proof.
    apply ln_le; [apply face_sum_pos|]. apply Sum_le. intros i Hi. unfold mask.
    assert (E := exp_pos (z i)). destruct (k i); lra.
  Qed.
End Mask.

(** ** All samples *)

Section Face.
  Variable p : problem.
  Notation N := (samples p).
  Notation C := (classes p).
  Notation T := (target p).
  Notation s := (weight p).
  Variable kept : nat -> nat -> bool.
  Hypothesis kept_support : forall n i, (n < N)%nat -> (i < C)%nat -> 0 < T n i -> kept n i = true.

  (** The loss of the face. *)
  Definition face_loss (W : matrix) : R :=
    Sum N (fun n => s n * (face_lse C (kept n) (logit p W n) - target_mean p W n)).

  Lemma face_loss_same W W' : same p W W' -> face_loss W = face_loss W'.
  Proof.
    intros E. apply Sum_ext. intros n Hn. f_equal. f_equal.
    - unfold face_lse, face_sum. f_equal. apply Sum_ext. intros i Hi. now rewrite (logit_same p _ _ n i E Hi).
    - unfold target_mean. apply Sum_ext. intros i Hi. now rewrite (logit_same p _ _ n i E Hi).
  Qed.

  Lemma face_loss_le W : face_loss W <= loss p W.
  Proof.
    apply Sum_le. intros n Hn. apply Rmult_le_compat_l; [now apply weight_nonneg|].
    assert (H := face_lse_le_lse C (T n) (kept n) (fun i => target_nonneg p n i Hn) (target_sum p n Hn) (fun i => kept_support n i Hn) (logit p W n)).
    unfold target_mean. lra.
  Qed.

  (** Its recession function: the largest entry kept, less the mean over the targets. (For a class that is dropped
      the mean stands in for the entry; it is never above the largest.) *)
  Definition face_max (V : matrix) (n : nat) : R :=
    Max C (fun i => if kept n i then logit p V n i else target_mean p V n).
  Definition face_recession (V : matrix) : R := Sum N (fun n => s n * (face_max V n - target_mean p V n)).

  Lemma face_max_ge_mean V n : (n < N)%nat -> target_mean p V n <= face_max V n.
  Proof.
    intros Hn. rewrite <- (Rmult_1_l (face_max V n)), <- (target_sum p n Hn), <- Sum_scal_r. apply Sum_le. intros i Hi.
    destruct (target_nonneg p n i Hn Hi) as [ti|<-]; [|lra]. apply Rmult_le_compat_l; [lra|].
    assert (H := Max_ge C (fun i => if kept n i then logit p V n i else target_mean p V n) i Hi).
    cbv beta in H. rewrite kept_support in H by auto. exact H.
  Qed.

  (** Where it vanishes no entry kept is above the mean, and those of the support are equal to it. *)
  Lemma face_recession_zero V n : face_recession V = 0 -> (n < N)%nat -> 0 < s n ->
    (forall i, (i < C)%nat -> kept n i = true -> logit p V n i <= target_mean p V n) /\
    (forall i, (i < C)%nat -> 0 < T n i -> logit p V n i = target_mean p V n).
  Proof.
    intros zero Hn sn.
    assert (E : face_max V n = target_mean p V n).
    { apply (Sum_eq_0 N (fun n => s n * (face_max V n - target_mean p V n))) with (i := n) in zero; auto.
      - apply Rmult_integral in zero. destruct zero; lra.
      - intros k Hk. assert (H := face_max_ge_mean V k Hk). apply Rmult_le_pos; [now apply weight_nonneg|lra]. }
    assert (below : forall i, (i < C)%nat -> kept n i = true -> logit p V n i <= target_mean p V n).
    { intros i Hi ki. rewrite <- E.
      assert (H := Max_ge C (fun i => if kept n i then logit p V n i else target_mean p V n) i Hi).
      cbv beta in H. rewrite ki in H. exact H. }
    split; [auto|].
    (* a mean of numbers at most m is m only if all are *)
    intros i Hi ti.
    assert (S0 : Sum C (fun i => T n i * (target_mean p V n - logit p V n i)) = 0).
    { rewrite (Sum_ext C _ (fun i => T n i * target_mean p V n - T n i * logit p V n i)) by (intros; ring).
      rewrite Sum_minus, Sum_scal_r, target_sum by auto. unfold target_mean. ring. }
    apply (Sum_eq_0 C (fun i => T n i * (target_mean p V n - logit p V n i))) with (i := i) in S0; auto.
    - apply Rmult_integral in S0. destruct S0; lra.
    - intros k Hk. destruct (target_nonneg p n k Hn Hk) as [tk|<-]; [|lra].
      assert (H := below k Hk (kept_support n k Hn Hk tk)). apply Rmult_le_pos; lra.
  Qed.

  (** V x_n is constant on what is kept. *)
  Definition constant_on_face (V : matrix) : Prop := forall n, (n < N)%nat -> 0 < s n -> forall i, (i < C)%nat ->
    kept n i = true -> logit p V n i = target_mean p V n.

  (** Along such V the loss of the face does not change. *)
  Lemma face_flat V : constant_on_face V -> forall W a, face_loss (move W a V) = face_loss W.
  Proof.
    intros const W a.
    apply Sum_ext. intros n Hn. destruct (weight_nonneg p n Hn) as [sn|<-]; [|ring]. f_equal. rewrite target_mean_move.
    assert (H1 := face_lse_le C (T n) (kept n) (fun i => target_nonneg p n i Hn) (target_sum p n Hn) (fun i => kept_support n i Hn) (logit p W n)
      (logit p (move W a V) n) (a * target_mean p V n)).
    assert (H2 := face_lse_le C (T n) (kept n) (fun i => target_nonneg p n i Hn) (target_sum p n Hn) (fun i => kept_support n i Hn) (logit p (move W a V) n)
      (logit p W n) (- (a * target_mean p V n))).
    assert (face_lse C (kept n) (logit p (move W a V) n) <= face_lse C (kept n) (logit p W n) + a * target_mean p V n)
      by (apply H1; intros i Hi ki; rewrite logit_move, (const n Hn sn i Hi ki); lra).
    assert (face_lse C (kept n) (logit p W n) <= face_lse C (kept n) (logit p (move W a V) n) + - (a * target_mean p V n))
      by (apply H2; intros i Hi ki; rewrite logit_move, (const n Hn sn i Hi ki); lra).
    lra.
  Qed.

  (** If every recession direction of the face is constant on it, the loss of the face attains its minimum. *)
  Theorem face_attained : (forall V, face_recession V = 0 -> constant_on_face V) ->
    exists W, forall U, face_loss W <= face_loss U.
  Proof.
    intros all.
    assert (eq_dec : forall a b : nat * nat, {a = b} + {a <> b}) by (intros; repeat decide equality).
    assert (Lf : Lipschitz (loss_constant p) (fun w => face_loss (unflat w))).
    { intros delta w w' close. unfold face_loss, loss_constant. rewrite <- Sum_scal_r, <- Sum_plus.
      apply Sum_le. intros n Hn.
      assert (close' : forall c d, Rabs (unflat w c d - unflat w' c d) <= delta) by (intros; apply close).
      assert (H1 := target_mean_Lipschitz p delta _ _ n Hn close').
      assert (H2 := face_lse_le C (T n) (kept n) (fun i => target_nonneg p n i Hn) (target_sum p n Hn) (fun i => kept_support n i Hn) (logit p (unflat w') n)
        (logit p (unflat w) n) (reach p n * delta)).
      assert (H3 := weight_nonneg p n Hn).
      assert (face_lse C (kept n) (logit p (unflat w) n) <= face_lse C (kept n) (logit p (unflat w') n) + reach p n * delta).
      { apply H2. intros i Hi _. assert (H := logit_Lipschitz p delta _ _ n i close'). apply Rabs_le_between in H. lra. }
      nra. }
    assert (Lr : Lipschitz (loss_constant p) (fun w => face_recession (unflat w))).
    { intros delta w w' close. unfold face_recession, loss_constant. rewrite <- Sum_scal_r, <- Sum_plus.
      apply Sum_le. intros n Hn.
      assert (close' : forall c d, Rabs (unflat w c d - unflat w' c d) <= delta) by (intros; apply close).
      assert (close'' : forall c d, Rabs (unflat w' c d - unflat w c d) <= delta) by (intros; rewrite Rabs_minus_sym; apply close).
      assert (H1 := target_mean_Lipschitz p delta _ _ n Hn close').
      assert (H1' := target_mean_Lipschitz p delta _ _ n Hn close'').
      assert (H3 := weight_nonneg p n Hn).
      assert (face_max (unflat w) n <= face_max (unflat w') n + reach p n * delta).
      { apply Max_move; [apply classes_pos|]. intros i Hi. destruct (kept n i); [|lra].
        assert (H := logit_Lipschitz p delta _ _ n i close'). apply Rabs_le_between in H. lra. }
      nra. }
    destruct (attained_above_recession eq_dec (loss_constant p) (fun w => face_loss (unflat w))
      (fun w => face_recession (unflat w)) (loss_constant_nonneg p) Lf Lr) with (l := flat_index p) as [w [_ least]].
    - intros c w c0. unfold face_recession. rewrite <- Sum_scal. apply Sum_ext. intros n Hn.
      assert (E1 : target_mean p (unflat (fun a => c * w a)) n = c * target_mean p (unflat w) n).
      { unfold target_mean. rewrite <- Sum_scal. apply Sum_ext. intros i Hi.
        change (unflat (fun a => c * w a)) with (fun k d => c * unflat w k d). rewrite logit_scale. ring. }
      assert (E2 : face_max (unflat (fun a => c * w a)) n = c * face_max (unflat w) n).
      { unfold face_max. rewrite <- Max_scal by (auto; apply classes_pos). apply Max_ext. intros i Hi.
        destruct (kept n i); [|apply E1].
        change (unflat (fun a => c * w a)) with (fun k d => c * unflat w k d). apply logit_scale. }
      rewrite E1, E2. ring.
    - intros w. apply Sum_nonneg. intros n Hn. assert (H := face_max_ge_mean (unflat w) n Hn).
      apply Rmult_le_pos; [now apply weight_nonneg|lra].
    - intros w. apply Sum_le. intros n Hn. apply Rmult_le_compat_l; [now apply weight_nonneg|].
      enough (face_max (unflat w) n <= face_lse C (kept n) (logit p (unflat w) n)) by lra.
      apply Max_le; [apply classes_pos|]. intros i Hi. destruct (kept n i) eqn:ki.
      + now apply face_lse_ge.
      + apply (face_lse_ge_mean C (T n) (kept n) (fun i => target_nonneg p n i Hn) (target_sum p n Hn) (fun i => kept_support n i Hn)).
    - intros w zero w' c. exact (face_flat (unflat w) (all _ zero) (unflat w') c).
    - exists (unflat w). intros U.
      pose (u := fun a => if in_dec eq_dec a (flat_index p) then U (fst a) (snd a) else 0).
      assert (E : same p (unflat u) U).
      { intros c d Hc Hd. unfold unflat, u. destruct (in_dec eq_dec (c, d) (flat_index p)) as [i|no]; auto.
        exfalso. apply no. unfold flat_index. apply in_prod; apply in_seq; lia. }
      assert (F : face_loss (unflat u) = face_loss U) by now apply face_loss_same.
      rewrite <- F. apply least. intros a no. unfold u. destruct (in_dec eq_dec a (flat_index p)); tauto.
  Qed.

  (** Along a recession direction with a margin on all that is dropped, L(W + a V) comes as near to the loss of the face at
      W as one likes. *)
  Lemma loss_tends_to_face_loss V W eps : recession_direction p V ->
    (forall n j, (n < N)%nat -> 0 < s n -> (j < C)%nat -> kept n j = false -> 0 < margin p V n j) -> 0 < eps ->
    exists a, loss p (move W a V) < face_loss W + eps.
  Proof.
    intros dir apart e0.
    (* one number below all margins, one above all the ratios *)
    assert (least_margin : exists g, 0 < g /\
      forall n j, (n < N)%nat -> 0 < s n -> (j < C)%nat -> kept n j = false -> g <= margin p V n j).
    { assert (row : forall n, (n < N)%nat -> 0 < s n -> forall m, (m <= C)%nat ->
        exists g, 0 < g /\ forall j, (j < m)%nat -> kept n j = false -> g <= margin p V n j).
      { intros n Hn sn. induction m as [|m IH]; intros Hm; [exists 1; split; [lra|lia]|].
        destruct IH as [g [g0 Hg]]; [lia|]. destruct (kept n m) eqn:km.
        - exists g. split; auto. intros j Hj kj. destruct (Nat.eq_dec j m) as [->|ne]; [congruence|]. apply Hg; auto; lia.
        - assert (pm : 0 < margin p V n m) by (apply apart; auto; lia).
          exists (Rmin g (margin p V n m)). split; [now apply Rmin_glb_lt|]. intros j Hj kj.
          destruct (Nat.eq_dec j m) as [->|ne]; [apply Rmin_r|]. apply Rle_trans with (1 := Rmin_l _ _). apply Hg; auto; lia. }
      assert (allrows : forall m, (m <= N)%nat -> exists g, 0 < g /\
        forall n j, (n < m)%nat -> 0 < s n -> (j < C)%nat -> kept n j = false -> g <= margin p V n j).
      { induction m as [|m IH]; intros Hm; [exists 1; split; [lra|lia]|]. destruct IH as [g [g0 Hg]]; [lia|].
        destruct (Rlt_dec 0 (s m)) as [sm|no].
        - destruct (row m Hm sm C (le_n C)) as [h [h0 Hh]]. exists (Rmin g h). split; [now apply Rmin_glb_lt|].
          intros n j Hn sn Hj kj. destruct (Nat.eq_dec n m) as [->|ne].
          + apply Rle_trans with (1 := Rmin_r _ _). now apply Hh.
          + apply Rle_trans with (1 := Rmin_l _ _). apply Hg; auto; lia.
        - exists g. split; auto. intros n j Hn sn Hj kj. destruct (Nat.eq_dec n m) as [->|ne]; [contradiction|].
          apply Hg; auto; lia. }
      destruct (allrows N (le_n N)) as [g [g0 Hg]]. exists g. split; auto. }
    destruct least_margin as [g [g0 Hg]].
    (* q_n = (sum_j exp z_j) / (sum over those kept of exp z_j); L(W + a V) <= loss of the face + e^(- a g) sum_n s_n q_n *)
    set (q := fun n => Sum C (fun i => exp (logit p W n i)) / face_sum C (kept n) (logit p W n)).
    set (Q := Sum N (fun n => s n * q n)).
    assert (main : forall a, 0 <= a -> loss p (move W a V) <= face_loss W + exp (- (a * g)) * Q).
    { intros a a0. unfold Q. rewrite <- Sum_scal. unfold face_loss. rewrite <- Sum_plus. apply Sum_le. intros n Hn.
      destruct (weight_nonneg p n Hn) as [sn|<-]; [|lra].
      assert (Sp := face_sum_pos C (T n) (kept n) (fun i => target_nonneg p n i Hn) (target_sum p n Hn) (fun i => kept_support n i Hn) (logit p W n)).
      assert (Ep := exp_pos (- (a * g))). assert (Zp := sum_exp_pos C (logit p W n) (classes_pos p)).
      change (Sum C (fun i => T n i * logit p (move W a V) n i)) with (target_mean p (move W a V) n).
      rewrite target_mean_move, (sample_descends p V n dir Hn sn). set (M := Max C (logit p V n)).
      (* sum_i exp (z_i + a v_i) <= e^(a M) (sum over those kept + e^(- a g) sum_i exp z_i) *)
      assert (Hs : Sum C (fun i => exp (logit p (move W a V) n i)) <=
        exp (a * M) * (face_sum C (kept n) (logit p W n) * (1 + exp (- (a * g)) * q n))).
      { replace (face_sum C (kept n) (logit p W n) * (1 + exp (- (a * g)) * q n))
          with (face_sum C (kept n) (logit p W n) + exp (- (a * g)) * Sum C (fun i => exp (logit p W n i)))
          by (unfold q; field; lra).
        unfold face_sum. rewrite <- Sum_scal, <- Sum_plus, <- Sum_scal. apply Sum_le. intros i Hi. rewrite logit_move.
        assert (mi := Max_ge C (logit p V n) i Hi). fold M in mi. assert (zi := exp_pos (logit p W n i)).
        rewrite exp_plus. unfold mask. destruct (kept n i) eqn:ki.
        - assert (exp (a * logit p V n i) <= exp (a * M)).
          { destruct (Rle_lt_or_eq_dec (a * logit p V n i) (a * M)) as [l| ->]; [nra|left; now apply exp_increasing|lra]. }
          assert (eM := exp_pos (a * M)). assert (0 <= exp (a * M) * (exp (- (a * g)) * exp (logit p W n i))).
          { apply Rmult_le_pos; [lra|]. apply Rmult_le_pos; lra. }
          nra.
        - assert (gi : g <= M - logit p V n i) by (apply (Hg n i); auto).
          assert (exp (a * logit p V n i) <= exp (a * M + - (a * g))).
          { destruct (Rle_lt_or_eq_dec (a * logit p V n i) (a * M + - (a * g))) as [l| ->];
              [nra|left; now apply exp_increasing|lra]. }
          rewrite exp_plus in H. nra. }
      assert (q0 : 0 < q n) by (apply Rdiv_lt_0_compat; auto).
      assert (lse_bound : lse C (logit p (move W a V) n) <= a * M + (face_lse C (kept n) (logit p W n) + exp (- (a * g)) * q n)).
      { unfold lse. apply Rle_trans with (ln (exp (a * M) * (face_sum C (kept n) (logit p W n) * (1 + exp (- (a * g)) * q n)))).
        - apply ln_le; [apply sum_exp_pos, classes_pos|exact Hs].
        - assert (o : 0 < 1 + exp (- (a * g)) * q n) by (assert (0 < exp (- (a * g)) * q n) by (apply Rmult_lt_0_compat; auto); lra).
          rewrite ln_mult, ln_exp, ln_mult by (auto; try apply exp_pos; apply Rmult_lt_0_compat; auto).
          assert (L : ln (1 + exp (- (a * g)) * q n) <= exp (- (a * g)) * q n).
          { assert (E := exp_ineq1_le (ln (1 + exp (- (a * g)) * q n))). rewrite exp_ln in E by auto. lra. }
          unfold face_lse. lra. }
      nra. }
    assert (Q0 : 0 <= Q).
    { apply Sum_nonneg. intros n Hn. apply Rmult_le_pos; [now apply weight_nonneg|]. left. apply Rdiv_lt_0_compat.
      - apply sum_exp_pos, classes_pos.
      - apply (face_sum_pos C (T n) (kept n) (fun i => target_nonneg p n i Hn) (target_sum p n Hn) (fun i => kept_support n i Hn)). }
    (* a large enough that e^(- a g) Q < eps *)
    set (a := (Q / eps) / g). assert (a0 : 0 <= a).
    { apply Rmult_le_pos; [apply Rmult_le_pos; [auto|left; now apply Rinv_0_lt_compat]|left; now apply Rinv_0_lt_compat]. }
    exists a. apply Rle_lt_trans with (1 := main a a0). enough (exp (- (a * g)) * Q < eps) by lra.
    replace (a * g) with (Q / eps) by (unfold a; field; lra).
    (* e^x > x *)
    assert (E := exp_ineq1_le (Q / eps)). rewrite exp_Ropp. assert (P := exp_pos (Q / eps)).
    apply Rmult_lt_reg_l with (exp (Q / eps)); [auto|]. rewrite <- Rmult_assoc, Rinv_r by lra.
    apply Rmult_le_compat_l with (r := eps) in E; [|lra].
    replace (eps * (1 + Q / eps)) with (eps + Q) in E by (field; lra). lra.
  Qed.

  (** So the infimum of the loss is the minimum of that of the face. *)
  Theorem face_infimum V W : recession_direction p V ->
    (forall n j, (n < N)%nat -> 0 < s n -> (j < C)%nat -> kept n j = false -> 0 < margin p V n j) ->
    (forall U, face_loss W <= face_loss U) -> infimum p (face_loss W).
  Proof.
    intros dir apart least. split.
    - intros U. apply Rle_trans with (1 := least U), face_loss_le.
    - intros eps e0. destruct (loss_tends_to_face_loss V W eps dir apart e0) as [a H]. now exists (move W a V).
  Qed.
End Face.
