(** * S9: a minimiser exists unless some direction separates (docs/theory.md, S9)

    The recession function, the recession directions, and both directions of the theorem: the loss attains its minimum
    if and only if every recession direction lies in the kernel. *)

From Coq Require Import Reals Lra Lia List Classical.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Curvature Compact.
Open Scope R_scope.

(** ** The largest entry of a row *)

(** Max n f = max (f 0, ..., f (n - 1)), for n > 0. *)
Fixpoint Max (n : nat) (f : nat -> R) : R :=
  match n with
  | O => 0
  | S O => f 0%nat
  | S m => Rmax (Max m f) (f m)
  end.

Lemma Max_S n f : (0 < n)%nat -> Max (S n) f = Rmax (Max n f) (f n).
Proof. destruct n; [lia|reflexivity]. Qed.

Lemma Max_ge n f i : (i < n)%nat -> f i <= Max n f.
Proof.
  induction n as [|n IH]; intros H; [lia|]. destruct (Nat.eq_dec n 0) as [->|pos].
  - replace i with 0%nat by lia. simpl. lra.
  - rewrite Max_S by lia. destruct (Nat.eq_dec i n) as [->|ne]; [apply Rmax_r|].
    apply Rle_trans with (Max n f); [apply IH; lia|apply Rmax_l].
Qed.

Lemma Max_attained n f : (0 < n)%nat -> exists i, (i < n)%nat /\ Max n f = f i.
Proof.
  induction n as [|n IH]; intros H; [lia|]. destruct (Nat.eq_dec n 0) as [->|pos].
  - exists 0%nat. split; [lia|reflexivity].
  - destruct IH as [i [Hi E]]; [lia|]. rewrite Max_S by lia.
    destruct (Rle_dec (Max n f) (f n)).
    + exists n. rewrite Rmax_right by lra. split; [lia|reflexivity].
    + exists i. rewrite Rmax_left by lra. split; [lia|exact E].
Qed.

Lemma Max_le n f a : (0 < n)%nat -> (forall i, (i < n)%nat -> f i <= a) -> Max n f <= a.
Proof. intros H le. destruct (Max_attained n f H) as [i [Hi ->]]. auto. Qed.

Lemma Max_scal n c f : (0 < n)%nat -> 0 <= c -> Max n (fun i => c * f i) = c * Max n f.
Proof.
  intros H c0. apply Rle_antisym.
  - apply Max_le; auto. intros. apply Rmult_le_compat_l; auto. now apply Max_ge.
  - destruct (Max_attained n f H) as [i [Hi ->]]. exact (Max_ge n (fun i => c * f i) i Hi).
Qed.

Lemma Max_move n f g delta : (0 < n)%nat -> (forall i, (i < n)%nat -> f i <= g i + delta) -> Max n f <= Max n g + delta.
Proof.
  intros H le. apply Max_le; auto. intros i Hi. specialize (le i Hi). assert (M := Max_ge n g i Hi). lra.
Qed.

(** ** Log-sum-exp is monotone, and adding m to all entries adds m *)

Lemma lse_le C z z' m : (0 < C)%nat -> (forall i, (i < C)%nat -> z' i <= z i + m) -> lse C z' <= lse C z + m.
Proof.
  intros H le. unfold lse. rewrite <- (ln_exp m). rewrite <- ln_mult by (try apply exp_pos; now apply sum_exp_pos).
  apply ln_le; [now apply sum_exp_pos|]. rewrite <- Sum_scal_r. apply Sum_le. intros i Hi.
  rewrite <- exp_plus. destruct (Rle_lt_or_eq_dec _ _ (le i Hi)) as [l| ->]; [left; now apply exp_increasing|lra].
Qed.

Lemma lse_lt C z z' m k : (k < C)%nat -> (forall i, (i < C)%nat -> z' i <= z i + m) -> z' k < z k + m ->
  lse C z' < lse C z + m.
Proof.
  intros Hk le lt. assert (H : (0 < C)%nat) by lia.
  unfold lse. rewrite <- (ln_exp m). rewrite <- ln_mult by (try apply exp_pos; now apply sum_exp_pos).
  apply ln_increasing; [now apply sum_exp_pos|]. rewrite <- Sum_scal_r.
  assert (mono : forall i, (i < C)%nat -> exp (z' i) <= exp (z i) * exp m).
  { intros i Hi. rewrite <- exp_plus. destruct (Rle_lt_or_eq_dec _ _ (le i Hi)) as [l| ->]; [left; now apply exp_increasing|lra]. }
  assert (strict : exp (z' k) < exp (z k) * exp m) by (rewrite <- exp_plus; now apply exp_increasing).
  (* the difference is a sum of non-negative terms, of which the k-th is positive *)
  assert (T := Sum_term_le C (fun i => exp (z i) * exp m - exp (z' i)) k). rewrite Sum_minus in T.
  enough (exp (z k) * exp m - exp (z' k) <= Sum C (fun i => exp (z i) * exp m) - Sum C (fun i => exp (z' i))) by lra.
  apply T; auto. intros i Hi. specialize (mono i Hi). lra.
Qed.

Lemma lse_ge C z i : (i < C)%nat -> z i <= lse C z.
Proof.
  intros H. unfold lse. rewrite <- (ln_exp (z i)) at 1. apply ln_le; [apply exp_pos|].
  apply (Sum_term_le C (fun i => exp (z i))); auto. intros. left. apply exp_pos.
Qed.

Lemma lse_ge_Max C z : (0 < C)%nat -> Max C z <= lse C z.
Proof. intros. apply Max_le; auto. intros. now apply lse_ge. Qed.

Section Recession.
  Variable p : problem.
  Notation N := (samples p).
  Notation C := (classes p).
  Notation D := (features p).
  Notation X := (input p).
  Notation T := (target p).
  Notation s := (weight p).

  (** t_n^T V x_n *)
  Definition target_mean (V : matrix) (n : nat) : R := Sum C (fun i => T n i * logit p V n i).

  (** L_oo(V) = sum_n s_n [m_n(V) - t_n^T V x_n] *)
  Definition recession (V : matrix) : R := Sum N (fun n => s n * (Max C (logit p V n) - target_mean V n)).

  (** In every sample with positive weight, the classes of the support have the largest entry of V x_n. *)
  Definition recession_direction (V : matrix) : Prop :=
    forall n, (n < N)%nat -> 0 < s n -> forall i, (i < C)%nat -> 0 < T n i ->
    forall j, (j < C)%nat -> logit p V n j <= logit p V n i.

  (** A recession direction outside the kernel separates. *)
  Definition separates (V : matrix) : Prop := recession_direction V /\ ~ kernel p V.

  (** The loss attains its minimum. *)
  Definition attained : Prop := exists W, minimiser p W.

  (** The pair (n, j), j outside the support of sample n, has the margin m_n(V) - (V x_n)_j > 0. *)
  Definition margin (V : matrix) (n j : nat) : R := Max C (logit p V n) - logit p V n j.
  Definition pair (n j : nat) : Prop := (n < N)%nat /\ 0 < s n /\ (j < C)%nat /\ T n j = 0.

  Definition complete_separation : Prop := exists V, separates V /\ forall n j, pair n j -> 0 < margin V n j.

  (** m_n - t_n^T V x_n = sum_i t_ni (m_n - (V x_n)_i) *)
  Lemma slope_as_sum V n : (n < N)%nat ->
    Max C (logit p V n) - target_mean V n = Sum C (fun i => T n i * margin V n i).
  Proof.
    intros H. unfold target_mean, margin. rewrite <- (Rmult_1_r (Max C _)) at 1. rewrite <- (target_sum p n H).
    rewrite <- Sum_scal, <- Sum_minus. apply Sum_ext. intros. ring.
  Qed.

  Lemma margin_nonneg V n i : (i < C)%nat -> 0 <= margin V n i.
  Proof. intros. unfold margin. assert (M := Max_ge C (logit p V n) i H). lra. Qed.

  Lemma slope_nonneg V n : (n < N)%nat -> 0 <= Max C (logit p V n) - target_mean V n.
  Proof.
    intros H. rewrite slope_as_sum by auto. apply Sum_nonneg. intros i Hi.
    apply Rmult_le_pos; [now apply target_nonneg|now apply margin_nonneg].
  Qed.

  (** L_oo(V) >= 0 *)
  Theorem S9_recession_nonneg V : 0 <= recession V.
  Proof. apply Sum_nonneg. intros. apply Rmult_le_pos; [now apply weight_nonneg|now apply slope_nonneg]. Qed.

  (** L_oo(V) = 0 if and only if (V x_n)_i = m_n(V) for every n and every i in S_n. *)
  Theorem S9_recession_zero V : recession V = 0 <-> recession_direction V.
  Proof.
    split.
    - intros E n Hn sn i Hi ti j Hj.
      assert (E1 : s n * (Max C (logit p V n) - target_mean V n) = 0).
      { apply (Sum_eq_0 N (fun n => s n * (Max C (logit p V n) - target_mean V n))); auto.
        intros k Hk. apply Rmult_le_pos; [now apply weight_nonneg|now apply slope_nonneg]. }
      apply Rmult_integral in E1. destruct E1 as [E1|E1]; [lra|]. rewrite slope_as_sum in E1 by auto.
      assert (E2 : T n i * margin V n i = 0).
      { apply (Sum_eq_0 C (fun i => T n i * margin V n i)); auto.
        intros k Hk. apply Rmult_le_pos; [now apply target_nonneg|now apply margin_nonneg]. }
      apply Rmult_integral in E2. destruct E2 as [E2|E2]; [lra|].
      assert (M := Max_ge C (logit p V n) j Hj). unfold margin in E2. lra.
    - intros dir. apply Sum_zero. intros n Hn. destruct (Req_dec (s n) 0) as [->|sn]; [ring|].
      assert (0 < s n) by (assert (H := weight_nonneg p n Hn); lra).
      rewrite slope_as_sum by auto. rewrite Sum_zero; [ring|]. intros i Hi.
      destruct (Req_dec (T n i) 0) as [->|ti]; [ring|].
      assert (0 < T n i) by (assert (H1 := target_nonneg p n i Hn Hi); lra).
      enough (margin V n i = 0) by (rewrite H1; ring).
      apply Rle_antisym; [|now apply margin_nonneg]. unfold margin.
      assert (M := Max_le C (logit p V n) (logit p V n i) (classes_pos p) (dir n Hn H i Hi H0)). lra.
  Qed.

  (** L(W) >= L_oo(W), because lse >= max. *)
  Lemma loss_above_recession W : recession W <= loss p W.
  Proof.
    apply Sum_le. intros n Hn. apply Rmult_le_compat_l; [now apply weight_nonneg|].
    assert (H := lse_ge_Max C (logit p W n) (classes_pos p)). unfold target_mean. lra.
  Qed.

  (** The loss is bounded below, by 0. *)
  Theorem S9_bounded_below W : 0 <= loss p W.
  Proof. apply Rle_trans with (1 := S9_recession_nonneg W), loss_above_recession. Qed.

  Lemma target_mean_move W a V n : target_mean (move W a V) n = target_mean W n + a * target_mean V n.
  Proof.
    unfold target_mean. rewrite <- Sum_scal, <- Sum_plus. apply Sum_ext. intros. rewrite logit_move. ring.
  Qed.

  (** Along a recession direction no sample's loss grows. *)
  Lemma sample_descends V n : recession_direction V -> (n < N)%nat -> 0 < s n ->
    target_mean V n = Max C (logit p V n).
  Proof.
    intros dir Hn sn. enough (Max C (logit p V n) - target_mean V n = 0) by lra.
    apply S9_recession_zero in dir.
    assert (E := Sum_eq_0 N (fun n => s n * (Max C (logit p V n) - target_mean V n))).
    apply E with (i := n) in dir; auto.
    - apply Rmult_integral in dir. destruct dir; [lra|auto].
    - intros k Hk. apply Rmult_le_pos; [now apply weight_nonneg|now apply slope_nonneg].
  Qed.

  (** Every entry of V x_n is at most m_n: a step along V shifts the log-sum-exp by m_n at most, and t_n^T z by m_n. *)
  Lemma sample_loss_le W V n : recession_direction V -> (n < N)%nat -> 0 < s n ->
    lse C (logit p (move W 1 V) n) - target_mean (move W 1 V) n <= lse C (logit p W n) - target_mean W n.
  Proof.
    intros dir Hn sn. rewrite target_mean_move, (sample_descends V n) by auto.
    enough (lse C (logit p (move W 1 V) n) <= lse C (logit p W n) + Max C (logit p V n)) by lra.
    apply lse_le; [apply classes_pos|]. intros i Hi. rewrite logit_move.
    assert (M := Max_ge C (logit p V n) i Hi). lra.
  Qed.

  (** Non-existence: along a direction that separates the loss decreases strictly, from everywhere. *)
  Theorem S9_separating_direction_descends V : separates V -> forall W, loss p (move W 1 V) < loss p W.
  Proof.
    intros [dir out] W.
    (* some sample has two different entries of V x_n, so one below the maximum *)
    assert (some : exists n k, (n < N)%nat /\ 0 < s n /\ (k < C)%nat /\ logit p V n k < Max C (logit p V n)).
    { apply NNPP. intros none. apply out. intros n Hn sn. exists (Max C (logit p V n)). intros i Hi.
      apply Rle_antisym; [now apply Max_ge|]. apply Rnot_lt_le. intros lt. apply none. exists n, i. tauto. }
    destruct some as [n [k [Hn [sn [Hk lt]]]]].
    pose (f := fun (W : matrix) (n : nat) => s n * (lse C (logit p W n) - target_mean W n)).
    change (Sum N (f (move W 1 V)) < Sum N (f W)).
    enough (0 < Sum N (fun n => f W n - f (move W 1 V) n)) by (rewrite Sum_minus in H; lra).
    apply Rlt_le_trans with (f W n - f (move W 1 V) n).
    - unfold f. rewrite target_mean_move, (sample_descends V n) by auto.
      enough (lse C (logit p (move W 1 V) n) < lse C (logit p W n) + Max C (logit p V n)) by nra.
      apply lse_lt with k; auto.
      + intros i Hi. rewrite logit_move. assert (M := Max_ge C (logit p V n) i Hi). lra.
      + rewrite logit_move. lra.
    - apply (Sum_term_le N (fun n => f W n - f (move W 1 V) n)); auto. intros m Hm. unfold f.
      destruct (Req_dec (s m) 0) as [->|sm]; [lra|].
      assert (0 < s m) by (assert (H := weight_nonneg p m Hm); lra).
      assert (H1 := sample_loss_le W V m dir Hm H). nra.
  Qed.

  Corollary S9_not_attained V : separates V -> ~ attained.
  Proof.
    intros sep [W least]. assert (H := S9_separating_direction_descends V sep W). specialize (least (move W 1 V)). lra.
  Qed.

  (** ** Existence *)

  (** sum_d |x_nd| bounds the change of a logit when no weight changes by more than 1. *)
  Definition reach (n : nat) : R := Sum D (fun d => Rabs (X n d)).

  Lemma logit_Lipschitz delta W W' n i :
    (forall c d, Rabs (W c d - W' c d) <= delta) -> Rabs (logit p W n i - logit p W' n i) <= reach n * delta.
  Proof.
    intros close. unfold logit, reach. rewrite <- Sum_minus, <- Sum_scal_r.
    assert (forall n f, Rabs (Sum n f) <= Sum n (fun i => Rabs (f i))) as tri.
    { clear. induction n as [|n IH]; intros f; simpl; [rewrite Rabs_R0; lra|].
      apply Rle_trans with (1 := Rabs_triang _ _). specialize (IH f). lra. }
    apply Rle_trans with (1 := tri _ _). apply Sum_le. intros d Hd.
    replace (W i d * X n d - W' i d * X n d) with (X n d * (W i d - W' i d)) by ring.
    rewrite Rabs_mult. apply Rmult_le_compat_l; [apply Rabs_pos|auto].
  Qed.

  Definition flat_index := list_prod (seq 0 C) (seq 0 D).
  Definition unflat (w : nat * nat -> R) : matrix := fun c d => w (c, d).
  Definition loss_constant : R := Sum N (fun n => s n * (2 * reach n)).

  Lemma reach_nonneg n : 0 <= reach n.
  Proof. apply Sum_nonneg. intros. apply Rabs_pos. Qed.

  Lemma loss_constant_nonneg : 0 <= loss_constant.
  Proof.
    apply Sum_nonneg. intros n Hn. apply Rmult_le_pos; [now apply weight_nonneg|]. assert (H := reach_nonneg n). lra.
  Qed.

  Lemma target_mean_Lipschitz delta W W' n : (n < N)%nat ->
    (forall c d, Rabs (W c d - W' c d) <= delta) -> target_mean W' n <= target_mean W n + reach n * delta.
  Proof.
    intros Hn close. unfold target_mean. rewrite <- (Rmult_1_r (reach n * delta)), <- (target_sum p n Hn), <- Sum_scal, <- Sum_plus.
    apply Sum_le. intros i Hi. assert (H := logit_Lipschitz delta W W' n i close).
    assert (t := target_nonneg p n i Hn Hi). apply Rabs_le_between in H. nra.
  Qed.

  (** A sum of s_n (h_n - t_n^T z_n) with h = lse or max. *)
  Lemma slope_Lipschitz (h : (nat -> R) -> R) :
    (forall z z' m, (forall i, (i < C)%nat -> z' i <= z i + m) -> h z' <= h z + m) ->
    Lipschitz loss_constant (fun w => Sum N (fun n => s n * (h (logit p (unflat w) n) - target_mean (unflat w) n))).
  Proof.
    intros mono delta w w' close. unfold loss_constant. rewrite <- Sum_scal_r, <- Sum_plus. apply Sum_le. intros n Hn.
    assert (close' : forall c d, Rabs (unflat w c d - unflat w' c d) <= delta) by (intros; apply close).
    assert (H1 := target_mean_Lipschitz delta _ _ n Hn close').
    assert (H2 : h (logit p (unflat w) n) <= h (logit p (unflat w') n) + reach n * delta).
    { apply mono. intros i Hi. assert (H := logit_Lipschitz delta _ _ n i close'). apply Rabs_le_between in H. lra. }
    assert (H3 := weight_nonneg p n Hn). nra.
  Qed.

  Lemma loss_Lipschitz : Lipschitz loss_constant (fun w => loss p (unflat w)).
  Proof. apply (slope_Lipschitz (lse C)). intros. apply lse_le; auto. apply classes_pos. Qed.

  Lemma recession_Lipschitz : Lipschitz loss_constant (fun w => recession (unflat w)).
  Proof. apply (slope_Lipschitz (Max C)). intros. apply Max_move; auto. apply classes_pos. Qed.

  Lemma logit_scale c V n i : logit p (fun k d => c * V k d) n i = c * logit p V n i.
  Proof. unfold logit. rewrite <- Sum_scal. apply Sum_ext. intros. ring. Qed.

  Lemma Max_ext n f g : (forall i, (i < n)%nat -> f i = g i) -> Max n f = Max n g.
  Proof.
    destruct (Nat.eq_dec n 0) as [->|pos]; [reflexivity|]. intros E.
    apply Rle_antisym; apply Max_le; try lia; intros i Hi; [rewrite E by auto|rewrite <- E by auto]; now apply Max_ge.
  Qed.

  (** L_oo is homogeneous. *)
  Lemma recession_scale c V : 0 <= c -> recession (fun k d => c * V k d) = c * recession V.
  Proof.
    intros c0. unfold recession. rewrite <- Sum_scal. apply Sum_ext. intros n Hn.
    rewrite (Max_ext C _ (fun i => c * logit p V n i)) by (intros; apply logit_scale).
    rewrite Max_scal by (auto; apply classes_pos).
    replace (target_mean (fun k d => c * V k d) n) with (c * target_mean V n); [ring|].
    unfold target_mean. rewrite <- Sum_scal. apply Sum_ext. intros. rewrite logit_scale. ring.
  Qed.

  (** If every recession direction is in the kernel, the loss attains its minimum. *)
  Theorem S9_existence : (forall V, recession_direction V -> kernel p V) -> attained.
  Proof.
    intros all.
    assert (eq_dec : forall a b : nat * nat, {a = b} + {a <> b}) by (intros; repeat decide equality).
    destruct (attained_above_recession eq_dec loss_constant (fun w => loss p (unflat w)) (fun w => recession (unflat w))
      loss_constant_nonneg loss_Lipschitz recession_Lipschitz) with (l := flat_index) as [w [_ least]].
    - intros c w c0. exact (recession_scale c (unflat w) c0).
    - intros w. apply S9_recession_nonneg.
    - intros w. apply loss_above_recession.
    - intros w zero w' c. apply (S6_loss_constant p (unflat w') (unflat w) c). now apply all, S9_recession_zero.
    - exists (unflat w). intros U.
      pose (u := fun a => if in_dec eq_dec a flat_index then U (fst a) (snd a) else 0).
      replace (loss p U) with (loss p (unflat u)).
      + apply least. intros a no. unfold u. destruct (in_dec eq_dec a flat_index); tauto.
      + apply loss_same. intros c d Hc Hd. unfold unflat, u. destruct (in_dec eq_dec (c, d) flat_index) as [i|no]; auto.
        exfalso. apply no. unfold flat_index. apply in_prod; apply in_seq; lia.
  Qed.

  (** The loss attains its minimum if and only if L_oo(V) = 0 only for V in the kernel. *)
  Theorem S9_attained_iff : attained <-> (forall V, recession V = 0 -> kernel p V).
  Proof.
    split.
    - intros att V zero. apply NNPP. intros out. apply (S9_not_attained V); auto. split; auto.
      now apply S9_recession_zero.
    - intros all. apply S9_existence. intros V dir. now apply all, S9_recession_zero.
  Qed.

  Corollary S9_attained_iff_nothing_separates : attained <-> ~ exists V, separates V.
  Proof.
    split.
    - intros att [V sep]. now apply (S9_not_attained V).
    - intros none. apply S9_existence. intros V dir. apply NNPP. intros out. apply none. exists V. split; auto.
  Qed.

  (** [NR]: if all targets of samples with positive weight are positive, a minimiser exists. *)
  Corollary S9_positive_targets :
    (forall n i, (n < N)%nat -> 0 < s n -> (i < C)%nat -> 0 < T n i) -> attained.
  Proof.
    intros all. apply S9_existence. intros V dir n Hn sn. exists (logit p V n 0). intros i Hi.
    assert (Hc := classes_pos p). apply Rle_antisym; apply dir; auto.
  Qed.

End Recession.
