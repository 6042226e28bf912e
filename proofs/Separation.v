(** * S9, the rest: the slope at infinity, the infimum under complete separation, absent classes (docs/theory.md, S9) *)

From Coq Require Import Reals Lra Lia List Classical.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Curvature Convergence Compact Recession.
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

(** ** Log-sum-exp over the support *)

(** log sum_i [in support] exp z_i *)
Definition in_support (t : nat -> R) (i : nat) : R := if Rlt_dec 0 (t i) then 1 else 0.
Definition support_sum (C : nat) (t z : nat -> R) : R := Sum C (fun i => in_support t i * exp (z i)).
Definition support_lse (C : nat) (t z : nat -> R) : R := ln (support_sum C t z).

Section Support.
  Variables (C : nat) (t : nat -> R).
  Hypothesis t_nonneg : forall i, (i < C)%nat -> 0 <= t i.
  Hypothesis t_sum : Sum C t = 1.

  Lemma in_support_nonneg i : 0 <= in_support t i.
  Proof. unfold in_support. destruct (Rlt_dec 0 (t i)); lra. Qed.

  Lemma term_le_support_sum z i : (i < C)%nat -> 0 < t i -> exp (z i) <= support_sum C t z.
  Proof.
    intros Hi ti. rewrite <- (Rmult_1_l (exp (z i))).
    replace 1 with (in_support t i) by (unfold in_support; destruct (Rlt_dec 0 (t i)); tauto).
    apply (Sum_term_le C (fun i => in_support t i * exp (z i))); auto. intros j _.
    apply Rmult_le_pos; [apply in_support_nonneg|left; apply exp_pos].
  Qed.

  (** A distribution has a support. *)
  Lemma support_exists : exists i, (i < C)%nat /\ 0 < t i.
  Proof.
    apply NNPP. intros none. enough (Sum C t = 0) by lra. apply Sum_zero. intros i Hi.
    apply Rle_antisym; [|auto]. apply Rnot_lt_le. intros H. apply none. now exists i.
  Qed.

  Lemma support_sum_pos z : 0 < support_sum C t z.
  Proof.
    destruct support_exists as [i [Hi ti]]. apply Rlt_le_trans with (exp (z i)); [apply exp_pos|now apply term_le_support_sum].
  Qed.

  Lemma support_lse_ge z i : (i < C)%nat -> 0 < t i -> z i <= support_lse C t z.
  Proof.
    intros Hi ti. unfold support_lse. rewrite <- (ln_exp (z i)). apply ln_le; [apply exp_pos|now apply term_le_support_sum].
  Qed.

  (** t^T z <= lse over the support *)
  Lemma support_lse_ge_mean z : Sum C (fun i => t i * z i) <= support_lse C t z.
  Proof.
    rewrite <- (Rmult_1_l (support_lse C t z)), <- t_sum, <- Sum_scal_r. apply Sum_le. intros i Hi.
    destruct (t_nonneg i Hi) as [ti|<-]; [|lra]. apply Rmult_le_compat_l; [auto|now apply support_lse_ge].
  Qed.

  Lemma support_lse_le z z' m : (forall i, (i < C)%nat -> 0 < t i -> z' i <= z i + m) ->
    support_lse C t z' <= support_lse C t z + m.
  Proof.
    intros le. unfold support_lse. rewrite <- (ln_exp m).
    rewrite <- ln_mult by (try apply exp_pos; apply support_sum_pos).
    apply ln_le; [apply support_sum_pos|]. unfold support_sum. rewrite <- Sum_scal_r. apply Sum_le. intros i Hi.
    unfold in_support. destruct (Rlt_dec 0 (t i)) as [ti|]; [|lra]. rewrite !Rmult_1_l, <- exp_plus.
    destruct (Rle_lt_or_eq_dec _ _ (le i Hi ti)) as [l| ->]; [left; now apply exp_increasing|lra].
  Qed.

  (** Dropping classes lowers the log-sum-exp. *)
  Lemma support_lse_le_lse z : support_lse C t z <= lse C z.
  Proof.
    apply ln_le; [apply support_sum_pos|]. apply Sum_le. intros i Hi. unfold in_support.
    assert (E := exp_pos (z i)). destruct (Rlt_dec 0 (t i)); lra.
  Qed.
End Support.

(** ** The infimum under complete separation *)

Section Complete.
  Variable p : problem.
  Notation N := (samples p).
  Notation C := (classes p).
  Notation T := (target p).
  Notation s := (weight p).

  (** The loss restricted to the supports. *)
  Definition support_loss (W : matrix) : R :=
    Sum N (fun n => s n * (support_lse C (T n) (logit p W n) - target_mean p W n)).

  Lemma support_loss_le W : support_loss W <= loss p W.
  Proof.
    apply Sum_le. intros n Hn. apply Rmult_le_compat_l; [now apply weight_nonneg|].
    assert (H := support_lse_le_lse C (T n) (fun i => target_nonneg p n i Hn) (target_sum p n Hn) (logit p W n)).
    unfold target_mean. lra.
  Qed.

  (** Its recession function: the largest entry over the support, less the mean over the targets. (Off the support the
      mean stands in for the entry; it is never above the largest.) *)
  Definition support_max (V : matrix) (n : nat) : R :=
    Max C (fun i => if Rlt_dec 0 (T n i) then logit p V n i else target_mean p V n).
  Definition support_recession (V : matrix) : R := Sum N (fun n => s n * (support_max V n - target_mean p V n)).

  Lemma support_max_ge_mean V n : (n < N)%nat -> target_mean p V n <= support_max V n.
  Proof.
    intros Hn. rewrite <- (Rmult_1_l (support_max V n)), <- (target_sum p n Hn), <- Sum_scal_r. apply Sum_le. intros i Hi.
    destruct (target_nonneg p n i Hn Hi) as [ti|<-]; [|lra]. apply Rmult_le_compat_l; [lra|].
    assert (H := Max_ge C (fun i => if Rlt_dec 0 (T n i) then logit p V n i else target_mean p V n) i Hi).
    cbv beta in H. destruct (Rlt_dec 0 (T n i)); [exact H|contradiction].
  Qed.

  (** It vanishes only where V x_n is constant on every support, and along such V the restricted loss is constant. *)
  Lemma support_flat V : support_recession V = 0 -> forall W a, support_loss (move W a V) = support_loss W.
  Proof.
    intros zero W a.
    assert (const : forall n, (n < N)%nat -> 0 < s n -> forall i, (i < C)%nat -> 0 < T n i -> logit p V n i = target_mean p V n).
    { intros n Hn sn.
      assert (E : support_max V n = target_mean p V n).
      { apply (Sum_eq_0 N (fun n => s n * (support_max V n - target_mean p V n))) with (i := n) in zero; auto.
        - apply Rmult_integral in zero. destruct zero; lra.
        - intros k Hk. assert (H := support_max_ge_mean V k Hk). apply Rmult_le_pos; [now apply weight_nonneg|lra]. }
      assert (below : forall i, (i < C)%nat -> 0 < T n i -> logit p V n i <= target_mean p V n).
      { intros i Hi ti. rewrite <- E.
        assert (H := Max_ge C (fun i => if Rlt_dec 0 (T n i) then logit p V n i else target_mean p V n) i Hi).
        cbv beta in H. destruct (Rlt_dec 0 (T n i)); [exact H|contradiction]. }
      (* a mean of numbers at most m is m only if all are *)
      intros i Hi ti.
      assert (S0 : Sum C (fun i => T n i * (target_mean p V n - logit p V n i)) = 0).
      { rewrite (Sum_ext C _ (fun i => T n i * target_mean p V n - T n i * logit p V n i)) by (intros; ring).
        rewrite Sum_minus, Sum_scal_r, target_sum by auto. unfold target_mean. ring. }
      apply (Sum_eq_0 C (fun i => T n i * (target_mean p V n - logit p V n i))) with (i := i) in S0; auto.
      - apply Rmult_integral in S0. destruct S0; lra.
      - intros k Hk. destruct (target_nonneg p n k Hn Hk) as [tk|<-]; [|lra].
        assert (H := below k Hk tk). apply Rmult_le_pos; lra. }
    apply Sum_ext. intros n Hn. destruct (weight_nonneg p n Hn) as [sn|<-]; [|ring]. f_equal. rewrite target_mean_move.
    assert (H1 := support_lse_le C (T n) (fun i => target_nonneg p n i Hn) (target_sum p n Hn) (logit p W n)
      (logit p (move W a V) n) (a * target_mean p V n)).
    assert (H2 := support_lse_le C (T n) (fun i => target_nonneg p n i Hn) (target_sum p n Hn) (logit p (move W a V) n)
      (logit p W n) (- (a * target_mean p V n))).
    assert (support_lse C (T n) (logit p (move W a V) n) <= support_lse C (T n) (logit p W n) + a * target_mean p V n)
      by (apply H1; intros i Hi ti; rewrite logit_move, (const n Hn sn i Hi ti); lra).
    assert (support_lse C (T n) (logit p W n) <= support_lse C (T n) (logit p (move W a V) n) + - (a * target_mean p V n))
      by (apply H2; intros i Hi ti; rewrite logit_move, (const n Hn sn i Hi ti); lra).
    lra.
  Qed.

  (** So the restricted loss attains its minimum, whatever the data. *)
  Theorem S9_support_loss_attained : exists W, forall U, support_loss W <= support_loss U.
  Proof.
    assert (eq_dec : forall a b : nat * nat, {a = b} + {a <> b}) by (intros; repeat decide equality).
    assert (Lf : Lipschitz (loss_constant p) (fun w => support_loss (unflat w))).
    { intros delta w w' close. unfold support_loss, loss_constant. rewrite <- Sum_scal_r, <- Sum_plus.
      apply Sum_le. intros n Hn.
      assert (close' : forall c d, Rabs (unflat w c d - unflat w' c d) <= delta) by (intros; apply close).
      assert (H1 := target_mean_Lipschitz p delta _ _ n Hn close').
      assert (H2 := support_lse_le C (T n) (fun i => target_nonneg p n i Hn) (target_sum p n Hn) (logit p (unflat w') n)
        (logit p (unflat w) n) (reach p n * delta)).
      assert (H3 := weight_nonneg p n Hn).
      assert (support_lse C (T n) (logit p (unflat w) n) <= support_lse C (T n) (logit p (unflat w') n) + reach p n * delta).
      { apply H2. intros i Hi _. assert (H := logit_Lipschitz p delta _ _ n i close'). apply Rabs_le_between in H. lra. }
      nra. }
    assert (Lr : Lipschitz (loss_constant p) (fun w => support_recession (unflat w))).
    { intros delta w w' close. unfold support_recession, loss_constant. rewrite <- Sum_scal_r, <- Sum_plus.
      apply Sum_le. intros n Hn.
      assert (close' : forall c d, Rabs (unflat w c d - unflat w' c d) <= delta) by (intros; apply close).
      assert (close'' : forall c d, Rabs (unflat w' c d - unflat w c d) <= delta) by (intros; rewrite Rabs_minus_sym; apply close).
      assert (H1 := target_mean_Lipschitz p delta _ _ n Hn close').
      assert (H1' := target_mean_Lipschitz p delta _ _ n Hn close'').
      assert (H3 := weight_nonneg p n Hn).
      assert (support_max (unflat w) n <= support_max (unflat w') n + reach p n * delta).
      { apply Max_move; [apply classes_pos|]. intros i Hi. destruct (Rlt_dec 0 (T n i)); [|lra].
        assert (H := logit_Lipschitz p delta _ _ n i close'). apply Rabs_le_between in H. lra. }
      nra. }
    destruct (attained_above_recession eq_dec (loss_constant p) (fun w => support_loss (unflat w))
      (fun w => support_recession (unflat w)) (loss_constant_nonneg p) Lf Lr) with (l := flat_index p) as [w [_ least]].
    - intros c w c0. unfold support_recession. rewrite <- Sum_scal. apply Sum_ext. intros n Hn.
      assert (E1 : target_mean p (unflat (fun a => c * w a)) n = c * target_mean p (unflat w) n).
      { unfold target_mean. rewrite <- Sum_scal. apply Sum_ext. intros i Hi.
        change (unflat (fun a => c * w a)) with (fun k d => c * unflat w k d). rewrite logit_scale. ring. }
      assert (E2 : support_max (unflat (fun a => c * w a)) n = c * support_max (unflat w) n).
      { unfold support_max. rewrite <- Max_scal by (auto; apply classes_pos). apply Max_ext. intros i Hi.
        destruct (Rlt_dec 0 (T n i)); [|apply E1].
        change (unflat (fun a => c * w a)) with (fun k d => c * unflat w k d). apply logit_scale. }
      rewrite E1, E2. ring.
    - intros w. apply Sum_nonneg. intros n Hn. assert (H := support_max_ge_mean (unflat w) n Hn).
      apply Rmult_le_pos; [now apply weight_nonneg|lra].
    - intros w. apply Sum_le. intros n Hn. apply Rmult_le_compat_l; [now apply weight_nonneg|].
      enough (support_max (unflat w) n <= support_lse C (T n) (logit p (unflat w) n)) by lra.
      apply Max_le; [apply classes_pos|]. intros i Hi. destruct (Rlt_dec 0 (T n i)) as [ti|_].
      + now apply support_lse_ge.
      + apply support_lse_ge_mean; [intros; now apply target_nonneg|now apply target_sum].
    - intros w zero w' c. exact (support_flat (unflat w) zero (unflat w') c).
    - exists (unflat w). intros U.
      pose (u := fun a => if in_dec eq_dec a (flat_index p) then U (fst a) (snd a) else 0).
      assert (E : same p (unflat u) U).
      { intros c d Hc Hd. unfold unflat, u. destruct (in_dec eq_dec (c, d) (flat_index p)) as [i|no]; auto.
        exfalso. apply no. unfold flat_index. apply in_prod; apply in_seq; lia. }
      assert (F : support_loss (unflat u) = support_loss U).
      { apply Sum_ext. intros n Hn. f_equal. f_equal.
        - unfold support_lse, support_sum. f_equal. apply Sum_ext. intros i Hi. now rewrite (logit_same p _ _ n i E Hi).
        - unfold target_mean. apply Sum_ext. intros i Hi. now rewrite (logit_same p _ _ n i E Hi). }
      rewrite <- F. apply least. intros a no. unfold u. destruct (in_dec eq_dec a (flat_index p)); tauto.
  Qed.

  (** With all margins positive, L(W + a V) comes as near to the restricted loss at W as one likes. *)
  Lemma loss_tends_to_support_loss V W eps : recession_direction p V ->
    (forall n j, pair p n j -> 0 < margin p V n j) -> 0 < eps ->
    exists a, loss p (move W a V) < support_loss W + eps.
  Proof.
    intros dir apart e0.
    (* one number below all margins, one above all the ratios *)
    assert (least_margin : exists g, 0 < g /\ forall n j, pair p n j -> g <= margin p V n j).
    { assert (row : forall n, (n < N)%nat -> 0 < s n -> forall m, (m <= C)%nat ->
        exists g, 0 < g /\ forall j, (j < m)%nat -> T n j = 0 -> g <= margin p V n j).
      { intros n Hn sn. induction m as [|m IH]; intros Hm; [exists 1; split; [lra|lia]|].
        destruct IH as [g [g0 Hg]]; [lia|]. destruct (Req_dec (T n m) 0) as [z|nz].
        - assert (pm : 0 < margin p V n m) by (apply apart; repeat split; auto; lia).
          exists (Rmin g (margin p V n m)). split; [now apply Rmin_glb_lt|]. intros j Hj tj.
          destruct (Nat.eq_dec j m) as [->|ne]; [apply Rmin_r|]. apply Rle_trans with (1 := Rmin_l _ _). apply Hg; auto; lia.
        - exists g. split; auto. intros j Hj tj. destruct (Nat.eq_dec j m) as [->|ne]; [contradiction|]. apply Hg; auto; lia. }
      assert (allrows : forall m, (m <= N)%nat -> exists g, 0 < g /\ forall n j, (n < m)%nat -> pair p n j -> g <= margin p V n j).
      { induction m as [|m IH]; intros Hm; [exists 1; split; [lra|lia]|]. destruct IH as [g [g0 Hg]]; [lia|].
        destruct (Rlt_dec 0 (s m)) as [sm|no].
        - destruct (row m Hm sm C (le_n C)) as [h [h0 Hh]]. exists (Rmin g h). split; [now apply Rmin_glb_lt|].
          intros n j Hn pr. destruct (Nat.eq_dec n m) as [->|ne].
          + apply Rle_trans with (1 := Rmin_r _ _). apply Hh; apply pr.
          + apply Rle_trans with (1 := Rmin_l _ _). apply Hg; auto; lia.
        - exists g. split; auto. intros n j Hn pr. destruct (Nat.eq_dec n m) as [->|ne].
          + exfalso. apply no, pr.
          + apply Hg; auto; lia. }
      destruct (allrows N (le_n N)) as [g [g0 Hg]]. exists g. split; auto. intros n j pr. apply Hg; auto. apply pr. }
    destruct least_margin as [g [g0 Hg]].
    (* q_n = (sum_j exp z_j) / (sum over the support of exp z_j); L(W + a V) <= restricted loss + e^(- a g) sum_n s_n q_n *)
    set (q := fun n => Sum C (fun i => exp (logit p W n i)) / support_sum C (T n) (logit p W n)).
    set (Q := Sum N (fun n => s n * q n)).
    assert (main : forall a, 0 <= a -> loss p (move W a V) <= support_loss W + exp (- (a * g)) * Q).
    { intros a a0. unfold Q. rewrite <- Sum_scal. unfold support_loss. rewrite <- Sum_plus. apply Sum_le. intros n Hn.
      destruct (weight_nonneg p n Hn) as [sn|<-]; [|lra].
      assert (Sp := support_sum_pos C (T n) (fun i => target_nonneg p n i Hn) (target_sum p n Hn) (logit p W n)).
      assert (Ep := exp_pos (- (a * g))). assert (Zp := sum_exp_pos C (logit p W n) (classes_pos p)).
      change (Sum C (fun i => T n i * logit p (move W a V) n i)) with (target_mean p (move W a V) n).
      rewrite target_mean_move, (sample_descends p V n dir Hn sn). set (M := Max C (logit p V n)).
      (* sum_i exp (z_i + a v_i) <= e^(a M) (support sum + e^(- a g) sum_i exp z_i) *)
      assert (Hs : Sum C (fun i => exp (logit p (move W a V) n i)) <=
        exp (a * M) * (support_sum C (T n) (logit p W n) * (1 + exp (- (a * g)) * q n))).
      { replace (support_sum C (T n) (logit p W n) * (1 + exp (- (a * g)) * q n))
          with (support_sum C (T n) (logit p W n) + exp (- (a * g)) * Sum C (fun i => exp (logit p W n i)))
          by (unfold q; field; lra).
        unfold support_sum. rewrite <- Sum_scal, <- Sum_plus, <- Sum_scal. apply Sum_le. intros i Hi. rewrite logit_move.
        assert (mi := Max_ge C (logit p V n) i Hi). fold M in mi. assert (zi := exp_pos (logit p W n i)).
        rewrite exp_plus. unfold in_support. destruct (Rlt_dec 0 (T n i)) as [ti|no].
        - assert (exp (a * logit p V n i) <= exp (a * M)).
          { destruct (Rle_lt_or_eq_dec (a * logit p V n i) (a * M)) as [l| ->]; [nra|left; now apply exp_increasing|lra]. }
          assert (eM := exp_pos (a * M)). assert (0 <= exp (a * M) * (exp (- (a * g)) * exp (logit p W n i))).
          { apply Rmult_le_pos; [lra|]. apply Rmult_le_pos; lra. }
          nra.
        - assert (gi : g <= M - logit p V n i).
          { apply (Hg n i). repeat split; auto. assert (H := target_nonneg p n i Hn Hi). lra. }
          assert (exp (a * logit p V n i) <= exp (a * M + - (a * g))).
          { destruct (Rle_lt_or_eq_dec (a * logit p V n i) (a * M + - (a * g))) as [l| ->];
              [nra|left; now apply exp_increasing|lra]. }
          rewrite exp_plus in H. nra. }
      assert (q0 : 0 < q n) by (apply Rdiv_lt_0_compat; auto).
      assert (lse_bound : lse C (logit p (move W a V) n) <= a * M + (support_lse C (T n) (logit p W n) + exp (- (a * g)) * q n)).
      { unfold lse. apply Rle_trans with (ln (exp (a * M) * (support_sum C (T n) (logit p W n) * (1 + exp (- (a * g)) * q n)))).
        - apply ln_le; [apply sum_exp_pos, classes_pos|exact Hs].
        - assert (o : 0 < 1 + exp (- (a * g)) * q n) by (assert (0 < exp (- (a * g)) * q n) by (apply Rmult_lt_0_compat; auto); lra).
          rewrite ln_mult, ln_exp, ln_mult by (auto; try apply exp_pos; apply Rmult_lt_0_compat; auto).
          assert (L : ln (1 + exp (- (a * g)) * q n) <= exp (- (a * g)) * q n).
          { assert (E := exp_ineq1_le (ln (1 + exp (- (a * g)) * q n))). rewrite exp_ln in E by auto. lra. }
          unfold support_lse. lra. }
      nra. }
    assert (Q0 : 0 <= Q).
    { apply Sum_nonneg. intros n Hn. apply Rmult_le_pos; [now apply weight_nonneg|]. left. apply Rdiv_lt_0_compat.
      - apply sum_exp_pos, classes_pos.
      - apply support_sum_pos; [intros; now apply target_nonneg|now apply target_sum]. }
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

  (** Under complete separation inf L is the minimum of the loss restricted to the supports ... *)
  Theorem S9_complete_infimum : complete_separation p ->
    exists W, (forall U, support_loss W <= support_loss U) /\ infimum p (support_loss W).
  Proof.
    intros [V [[dir _] apart]]. destruct S9_support_loss_attained as [W least]. exists W. split; auto. split.
    - intros U. apply Rle_trans with (1 := least U), support_loss_le.
    - intros eps e0. destruct (loss_tends_to_support_loss V W eps dir apart e0) as [a H]. now exists (move W a V).
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
    assert (E2 : support_lse C (T n) (logit p W n) = logit p W n k).
    { unfold support_lse, support_sum. rewrite (Sum_ext C _ (fun i => if Nat.eqb i k then exp (logit p W n i) else 0)).
      - rewrite (Sum_pick C k (fun i => exp (logit p W n i)) Hk). apply ln_exp.
      - intros i Hi. unfold in_support. destruct (Nat.eqb_spec i k) as [->|ne].
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
