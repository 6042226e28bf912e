(** S16, all steps: gradient descent with a fixed 0 < eta < 2 / Lambda converges to a minimiser whenever one exists,
    with no L2 term; if none exists the weights diverge. In either case the loss tends to its infimum. *)

From Coq Require Import Reals Lra Lia Classical_Prop.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Curvature Descent Subsequence.
Open Scope R_scope.

(** The iterates W_0, W_1, ... of gradient descent with the step eta. *)
Fixpoint descent p (eta : R) (W0 : matrix) (k : nat) : matrix :=
  match k with
  | O => W0
  | S k => step p eta (descent p eta W0 k)
  end.

(** The greatest lower bound of the loss. *)
Definition infimum p (m : R) : Prop :=
  (forall U, m <= loss p U) /\ forall eps, 0 < eps -> exists U, loss p U < m + eps.

(** There is one, as the loss is never negative. *)
Lemma infimum_exists p : exists m, infimum p m.
Proof.
  destruct (completeness (fun r => exists U, r = - loss p U)) as [m [Hup Hleast]].
  - exists 0. intros r [U ->]. generalize (loss_nonneg p U). lra.
  - exists (- loss p (fun _ _ => 0)). now exists (fun _ _ => 0).
  - exists (- m). split.
    + intros U. assert (- loss p U <= m) by (apply Hup; now exists U). lra.
    + intros eps Heps. apply NNPP. intros Hnone.
      assert (m <= m - eps); [|lra]. apply Hleast. intros r [U ->].
      apply Rnot_lt_le. intros Hlt. apply Hnone. exists U. lra.
Qed.

Section Descent.
  Variable p : problem.
  Variables Lambda eta : R.
  Hypothesis bound : curvature_bound p Lambda.
  Hypothesis eta_pos : 0 < eta.
  Hypothesis eta_small : eta * Lambda < 2.
  Variable W0 : matrix.
  Notation W := (descent p eta W0).

  (** What a step takes from the loss, as a multiple of |g|^2. *)
  Let gain := eta * (1 - eta * Lambda / 2).

  Lemma gain_pos : 0 < gain.
  Proof. apply Rmult_lt_0_compat; lra. Qed.

  Lemma loss_falls_by k : loss p (W (S k)) <= loss p (W k) - gain * norm2 p (gradient p (W k)).
  Proof. apply S16_step, bound. Qed.

  Theorem S16_loss_falls k : loss p (W (S k)) <= loss p (W k).
  Proof.
    assert (H := loss_falls_by k). assert (Hg := norm2_nonneg p (gradient p (W k))). assert (H' := gain_pos). nra.
  Qed.

  Lemma loss_falls_later j k : (j <= k)%nat -> loss p (W k) <= loss p (W j).
  Proof. intros H. induction H; [lra|]. eapply Rle_trans; [apply S16_loss_falls|assumption]. Qed.

  (** gain * |W_k - U|^2 + eta^2 L(W_k) falls by 2 eta gain (L(W_k) - L(U)) or more with each step ... *)
  Lemma potential_falls U k :
    gain * norm2 p (minus (W (S k)) U) + eta² * loss p (W (S k)) <=
    gain * norm2 p (minus (W k) U) + eta² * loss p (W k) - 2 * eta * gain * (loss p (W k) - loss p U).
  Proof.
    assert (Hd := distance_after_step p eta (W k) U (Rlt_le _ _ eta_pos)). fold (W (S k)) in Hd.
    assert (Hl := loss_falls_by k). assert (Hg := gain_pos).
    change (step p eta (W k)) with (W (S k)) in Hd.
    assert (0 <= eta²) by apply Rle_0_sqr.
    assert (H1 := Rmult_le_compat_l _ _ _ (Rlt_le _ _ Hg) Hd).
    assert (H2 := Rmult_le_compat_l _ _ _ H Hl). lra.
  Qed.

  (** ... so the loss cannot stay above L(U) + eps for ever. *)
  Lemma potential_after U eps k :
    (forall j, (j < k)%nat -> loss p U + eps <= loss p (W j)) ->
    gain * norm2 p (minus (W k) U) + eta² * loss p (W k) <=
    gain * norm2 p (minus W0 U) + eta² * loss p W0 - INR k * (2 * eta * gain * eps).
  Proof.
    induction k as [|k IH]; intros H.
    - simpl. lra.
    - eapply Rle_trans; [apply potential_falls|]. rewrite S_INR.
      assert (IH' := IH (fun j Hj => H j (Nat.lt_lt_succ_r _ _ Hj))). specialize (H k (Nat.lt_succ_diag_r k)).
      assert (2 * eta * gain * eps <= 2 * eta * gain * (loss p (W k) - loss p U)).
      { apply Rmult_le_compat_l; [|lra]. assert (Hg := gain_pos).
        apply Rmult_le_pos; [|lra]. lra. }
      lra.
  Qed.

  Lemma loss_below U eps : 0 < eps -> exists K, forall k, (K <= k)%nat -> loss p (W k) < loss p U + eps.
  Proof.
    intros Heps. assert (Hg := gain_pos).
    set (start := gain * norm2 p (minus W0 U) + eta² * loss p W0).
    assert (Hstep : 0 < 2 * eta * gain * eps) by (repeat apply Rmult_lt_0_compat; lra).
    destruct (nfloor_ex (start / (2 * eta * gain * eps))) as [m [_ Hm]].
    { apply Rmult_le_pos; [|apply Rlt_le, Rinv_0_lt_compat, Hstep].
      apply Rplus_le_le_0_compat; apply Rmult_le_pos; (lra || apply norm2_nonneg || apply Rle_0_sqr || apply loss_nonneg). }
    set (K := S m). exists K. intros k Hk.
    apply Rnot_le_lt. intros Hhigh.
    assert (Hall : forall j, (j < K)%nat -> loss p U + eps <= loss p (W j)).
    { intros j Hj. eapply Rle_trans; [exact Hhigh|]. apply loss_falls_later. lia. }
    assert (H := potential_after U eps K Hall). fold start in H.
    assert (Hge : 0 <= gain * norm2 p (minus (W K) U) + eta² * loss p (W K)).
    { apply Rplus_le_le_0_compat; apply Rmult_le_pos; (lra || apply norm2_nonneg || apply Rle_0_sqr || apply loss_nonneg). }
    assert (Hlate : start < INR K * (2 * eta * gain * eps)).
    { unfold K. rewrite S_INR. apply (Rmult_lt_compat_r _ _ _ Hstep) in Hm.
      unfold Rdiv in Hm. rewrite Rmult_assoc, Rinv_l in Hm by lra. lra. }
    lra.
  Qed.

  (** L(W_k) -> inf L, whether or not a minimiser exists. *)
  Theorem S16_loss_to_infimum m : infimum p m -> is_lim_seq (fun k => loss p (W k)) (Finite m).
  Proof.
    intros [Hlow Hnear]. apply is_lim_seq_spec. intros eps.
    destruct (Hnear (eps / 2)) as [U HU]; [destruct eps; simpl; lra|].
    destruct (loss_below U (eps / 2)) as [K HK]; [destruct eps; simpl; lra|].
    exists K. intros k Hk. specialize (HK k Hk). specialize (Hlow (W k)).
    rewrite Rabs_pos_eq by lra. lra.
  Qed.

  (** The limit of a subsequence of the iterates is a minimiser. *)
  Lemma cluster_point_minimises phi M :
    (forall j, (phi j < phi (S j))%nat) ->
    is_lim_seq (fun j => norm2 p (minus (W (phi j)) M)) (Finite 0) -> minimiser p M.
  Proof.
    intros Hphi HM U. apply Rnot_lt_le. intros Hlt.
    (* L(W_k) - L(M) >= <g_M, W_k - M>, which tends to 0; but L(W_k) falls below L(M) - gap for good *)
    set (gap := (loss p M - loss p U) / 2).
    destruct (loss_below U gap) as [K HK]; [unfold gap; lra|].
    set (g := norm2 p (gradient p M)). assert (Hg : 0 <= g) by apply norm2_nonneg.
    assert (He : 0 < gap² / (g + 1)).
    { apply Rdiv_lt_0_compat; [apply Rsqr_pos_lt; unfold gap; lra|lra]. }
    apply is_lim_seq_spec in HM. destruct (HM (mkposreal _ He)) as [J HJ]. simpl in HJ.
    assert (Hlate : forall j, (j <= phi j)%nat).
    { induction j as [|j IH]; [lia|]. specialize (Hphi j). lia. }
    set (j := max J K). specialize (HJ j (Nat.le_max_l _ _)).
    assert (HK' := HK (phi j) (Nat.le_trans _ _ _ (Nat.le_max_r J K) (Hlate j))).
    rewrite Rminus_0_r, Rabs_pos_eq in HJ by apply norm2_nonneg.
    assert (HT := loss_above_tangent p M (W (phi j))).
    assert (HC := inner_Cauchy_Schwarz p (gradient p M) (minus (W (phi j)) M)). fold g in HC.
    set (r := norm2 p (minus (W (phi j)) M)) in *. set (i := inner p (gradient p M) (minus (W (phi j)) M)) in *.
    assert (Hr : 0 <= r) by apply norm2_nonneg.
    assert (i < - gap) by (unfold gap in *; lra).
    assert (gap * gap < i * i) by (assert (0 < gap) by (unfold gap; lra); nra).
    assert (r * (g + 1) < gap * gap).
    { apply (Rmult_lt_compat_r (g + 1)) in HJ; [|lra]. unfold Rdiv, Rsqr in HJ.
      rewrite Rmult_assoc, Rinv_l in HJ by lra. lra. }
    unfold Rsqr in HC. nra.
  Qed.

  (** Entries are no larger than the norm. *)
  Lemma entry_le_norm2 A c d : (c < classes p)%nat -> (d < features p)%nat -> (A c d)² <= norm2 p A.
  Proof.
    intros Hc Hd.
    eapply Rle_trans; [|apply (Sum_term_le (classes p) (fun c => Sum (features p) (fun d => A c d * A c d)) c)].
    - apply (Sum_term_le (features p) (fun d => A c d * A c d) d); [|assumption]. intros. apply Rle_0_sqr.
    - intros. apply Sum_nonneg. intros. apply Rle_0_sqr.
    - assumption.
  Qed.

  (** If infinitely many iterates stay in a ball, a minimiser exists. *)
  Lemma bounded_subsequence_gives_minimiser phi U B :
    (forall j, (phi j < phi (S j))%nat) -> (forall j, norm2 p (minus (W (phi j)) U) <= B) ->
    exists M psi, minimiser p M /\ (forall j, (psi j < psi (S j))%nat) /\
      is_lim_seq (fun j => norm2 p (minus (W (psi j)) M)) (Finite 0).
  Proof.
    intros Hphi HB.
    destruct (Bolzano_Weierstrass p (fun j => minus (W (phi j)) U) (B + 1)) as [chi [V [Hchi HV]]].
    { intros k c d Hc Hd. assert (H := entry_le_norm2 (minus (W (phi k)) U) c d Hc Hd). specialize (HB k).
      set (x := minus (W (phi k)) U c d) in *. assert (0 <= x²) by apply Rle_0_sqr.
      apply Rabs_le. unfold Rsqr in *. nra. }
    set (M := move U 1 V).
    assert (HM : is_lim_seq (fun j => norm2 p (minus (W (phi (chi j))) M)) (Finite 0)).
    { apply entries_converge. intros c d Hc Hd. unfold M, move.
      apply (is_lim_seq_ext (fun j => U c d + minus (W (phi (chi j))) U c d)).
      - intros j. unfold minus. ring.
      - apply is_lim_seq_plus'; [apply is_lim_seq_const|]. rewrite Rmult_1_l. now apply HV. }
    assert (Hmono : forall i j, (i < j)%nat -> (phi i < phi j)%nat).
    { intros i j Hij. induction Hij; [apply Hphi|]. eapply Nat.lt_trans; [eassumption|apply Hphi]. }
    assert (Hsub : forall j, (phi (chi j) < phi (chi (S j)))%nat) by (intros; apply Hmono, Hchi).
    exists M, (fun j => phi (chi j)). split; [|split]; [|assumption|assumption].
    now apply (cluster_point_minimises (fun j => phi (chi j))).
  Qed.

  (** The distance to any minimiser never grows. *)
  Lemma distance_falls_later M j k :
    minimiser p M -> (j <= k)%nat -> norm2 p (minus (W k) M) <= norm2 p (minus (W j) M).
  Proof.
    intros HM H. induction H; [lra|]. eapply Rle_trans; [|exact IHle].
    now apply (S16_distance_never_grows p Lambda).
  Qed.

  (** The iterates stay in W_0 + complement. *)
  Lemma descent_stays k : complement p (minus (W k) W0).
  Proof.
    intros K HK. induction k as [|k IH]; rewrite inner_minus_l in *; simpl; [ring|].
    unfold step. rewrite inner_move_l, (S6_gradient_orthogonal p _ K HK). lra.
  Qed.

  (** THE COROLLARY OF THE TITLE: if a minimiser exists, the iterates converge, entry by entry, to a minimiser W* ... *)
  Theorem S16_convergence :
    (exists M, minimiser p M) ->
    exists W', minimiser p W' /\ complement p (minus W' W0) /\
      (forall c d, (c < classes p)%nat -> (d < features p)%nat ->
        is_lim_seq (fun k => W k c d) (Finite (W' c d))) /\
      is_lim_seq (fun k => norm p (minus (W k) W')) (Finite 0).
  Proof.
    intros [M HM].
    destruct (bounded_subsequence_gives_minimiser (fun j => j) M (norm2 p (minus W0 M))) as [W' [psi [HW' [Hpsi Hlim]]]].
    { intros. lia. }
    { intros j. apply (distance_falls_later M 0 j HM). lia. }
    (* |W_k - W'| never grows and has a subsequence that tends to 0 *)
    assert (Hall : is_lim_seq (fun k => norm2 p (minus (W k) W')) (Finite 0)).
    { apply is_lim_seq_spec. intros eps. apply is_lim_seq_spec in Hlim. destruct (Hlim eps) as [J HJ].
      exists (psi J). intros k Hk. specialize (HJ J (le_n _)).
      rewrite Rminus_0_r, Rabs_pos_eq in * by apply norm2_nonneg.
      eapply Rle_lt_trans; [apply (distance_falls_later W' (psi J) k HW' Hk)|exact HJ]. }
    exists W'. split; [assumption|split; [|split]].
    - intros K HK.
      (* <W' - W_0, K> = <W' - W_k, K>, which tends to 0 *)
      apply Rsqr_0_uniq, Rle_antisym; [|apply Rle_0_sqr]. apply le_epsilon. intros eps Heps.
      assert (HK0 := norm2_nonneg p K).
      assert (He : 0 < eps / (norm2 p K + 1)) by (apply Rdiv_lt_0_compat; lra).
      apply is_lim_seq_spec in Hall. destruct (Hall (mkposreal _ He)) as [k Hk]. specialize (Hk k (le_n _)).
      simpl in Hk. rewrite Rminus_0_r, Rabs_pos_eq in Hk by apply norm2_nonneg.
      assert (Hstay := descent_stays k K HK). rewrite inner_minus_l in Hstay.
      assert (HC := inner_Cauchy_Schwarz p (minus (W k) W') K). rewrite inner_minus_l in *.
      replace (inner p W' K - inner p W0 K) with (- (inner p (W k) K - inner p W' K)) by lra.
      rewrite <- Rsqr_neg. eapply Rle_trans; [exact HC|].
      apply Rle_trans with (eps / (norm2 p K + 1) * norm2 p K); [apply Rmult_le_compat_r; lra|].
      apply Rle_trans with (eps / (norm2 p K + 1) * (norm2 p K + 1)); [apply Rmult_le_compat_l; lra|].
      unfold Rdiv. rewrite Rmult_assoc, Rinv_l; lra.
    - now apply entries_converge.
    - apply is_lim_seq_spec. intros eps.
      assert (He : 0 < eps * eps) by (apply Rmult_lt_0_compat; apply cond_pos).
      apply is_lim_seq_spec in Hall. destruct (Hall (mkposreal _ He)) as [K HK]. exists K. intros k Hk.
      specialize (HK k Hk). simpl in HK. rewrite Rminus_0_r in *.
      rewrite <- (Rabs_pos_eq eps) by (apply Rlt_le, cond_pos). apply Rsqr_lt_abs_0. rewrite norm_sqr. unfold Rsqr.
      rewrite Rabs_pos_eq in HK by apply norm2_nonneg. exact HK.
  Qed.

  (** ... and W* is the only minimiser in W_0 + complement. *)
  Theorem S16_limit_unique W' W'' :
    minimiser p W' -> complement p (minus W' W0) -> minimiser p W'' -> complement p (minus W'' W0) -> same p W'' W'.
  Proof.
    intros H1 C1 H2 C2. apply S6_unique_minimiser; [assumption|assumption|].
    intros K HK. specialize (C1 K HK). specialize (C2 K HK). rewrite inner_minus_l in *. lra.
  Qed.

  (** If no minimiser exists, the weights diverge. *)
  Theorem S16_divergence : (~ exists M, minimiser p M) -> is_lim_seq (fun k => norm p (W k)) p_infty.
  Proof.
    intros Hnone. apply is_lim_seq_spec. intros B.
    set (late := fun K => forall k, (K <= k)%nat -> B < norm p (W k)).
    (* either the iterates leave the ball of radius B for good, or some come back arbitrarily late *)
    assert (Hdec : forall K, late K \/ exists k, (K <= k)%nat /\ norm p (W k) <= B).
    { intros K. destruct (LPO (fun k => (K <= k)%nat /\ norm p (W k) <= B)) as [[k Hk]|Hno].
      - intros k. destruct (le_dec K k), (Rle_dec (norm p (W k)) B); tauto.
      - right. now exists k.
      - left. intros k Hk. apply Rnot_le_lt. intros H. now apply (Hno k). }
    destruct (LPO late) as [[K HK]|Hnever].
    - intros K. destruct (Hdec K) as [H|[k [Hk HB]]]; [now left|right]. intros H. specialize (H k Hk). lra.
    - exists K. exact HK.
    - exfalso. apply Hnone.
      destruct (extract (fun _ k => norm p (W k) <= B)) as [phi [Hphi HB]].
      + intros _ k. destruct (Rle_dec (norm p (W k)) B); tauto.
      + intros _ K. destruct (Hdec K) as [H|H]; [now destruct (Hnever K)|exact H].
      + destruct (bounded_subsequence_gives_minimiser phi (fun _ _ => 0) (B * B) Hphi) as [M [psi [HM _]]].
        * intros j. specialize (HB j). assert (0 <= norm p (W (phi j))) by apply sqrt_pos.
          replace (norm2 p (minus (W (phi j)) (fun _ _ => 0))) with ((norm p (W (phi j)))²); [unfold Rsqr; nra|].
          rewrite norm_sqr. apply inner_same; intros c d _ _; unfold minus; ring.
        * now exists M.
  Qed.
End Descent.

(** With eta <= 1 / Lambda the loss is within |W_0 - M|^2 / (2 eta k) of the minimum after k steps. *)
Theorem S16_rate p Lambda eta W0 M k :
  curvature_bound p Lambda -> 0 < eta -> eta * Lambda <= 1 -> minimiser p M ->
  2 * eta * INR k * (loss p (descent p eta W0 k) - loss p M) <= norm2 p (minus W0 M).
Proof.
  intros HL H0 H1 HM. set (W := descent p eta W0).
  assert (Hone : forall k, norm2 p (minus (W (S k)) M) + 2 * eta * (loss p (W (S k)) - loss p M)
    <= norm2 p (minus (W k) M)).
  { intros j. assert (Hd := distance_after_step p eta (W j) M (Rlt_le _ _ H0)).
    assert (Hf := S16_descent p Lambda eta (W j) HL (Rlt_le _ _ H0) H1).
    change (step p eta (W j)) with (W (S j)) in *. unfold Rsqr in Hd.
    apply (Rmult_le_compat_l (2 * eta)) in Hf; lra. }
  assert (Hsum : norm2 p (minus (W k) M) + 2 * eta * INR k * (loss p (W k) - loss p M) <= norm2 p (minus W0 M)).
  { induction k as [|k IH]; [change (W 0%nat) with W0; simpl INR; lra|]. rewrite S_INR. specialize (Hone k).
    assert (Hfall : loss p (W (S k)) <= loss p (W k)).
    { apply (S16_loss_falls p Lambda); [assumption|assumption|]. lra. }
    assert (HM' := HM (W k)). assert (Hk := pos_INR k).
    assert (2 * eta * INR k * (loss p (W (S k)) - loss p M) <= 2 * eta * INR k * (loss p (W k) - loss p M))
      by (apply Rmult_le_compat_l; [repeat apply Rmult_le_pos|]; lra).
    lra. }
  assert (H := norm2_nonneg p (minus (W k) M)). fold (W k). lra.
Qed.
