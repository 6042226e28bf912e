(** * S14: curvature bounded by pairs of classes, and what check_curvature.py tests (docs/theory.md, S14, S15b)

    The quadratic form as a sum over pairs of classes; its bound by a graph's Laplacian; the gauge v_C = 0; weights that
    are rounded down; and the test of positive semidefiniteness by an exact residual. *)

From Coq Require Import Reals Lra Lia Bool.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Curvature CertifiedMinimum.
Open Scope R_scope.

(** ** The form by pairs *)

Section Pairs.
  Variable p : problem.
  Notation N := (samples p).
  Notation C := (classes p).
  Notation D := (features p).
  Notation X := (input p).
  Notation s := (weight p).

  (** v^T M_ab v = sum_n w_n (v^T x_n)^2, for weights w of the samples *)
  Definition gram_form (w : nat -> R) (v : nat -> R) : R := Sum N (fun n => w n * (dot D v (X n))²).
  Definition pair_weight (W : matrix) (a b n : nat) : R := s n * (prob p W n a * prob p W n b).

  (** D2L[V, V] = sum over a < b of (v_a - v_b)^T M_ab (v_a - v_b); here each pair is counted twice. *)
  Theorem S14_pairs W V :
    2 * hessian p W V V =
    Sum C (fun a => Sum C (fun b => gram_form (pair_weight W a b) (fun d => V a d - V b d))).
  Proof.
    rewrite S4_variance, <- Sum_scal. unfold gram_form.
    rewrite (Sum_ext C _ (fun a => Sum N (fun n => Sum C (fun b =>
      pair_weight W a b n * (dot D (fun d => V a d - V b d) (X n))²)))) by (intros; apply Sum_swap).
    rewrite Sum_swap. apply Sum_ext. intros n Hn.
    destruct (prob_distribution p W n) as [_ one].
    replace (2 * (s n * Var C (prob p W n) (logit p V n))) with (s n * (2 * Var C (prob p W n) (logit p V n))) by ring.
    rewrite (S4_pairs C (prob p W n) (logit p V n) one), <- Sum_scal. apply Sum_ext. intros a Ha.
    rewrite <- Sum_scal. apply Sum_ext. intros b Hb. unfold pair_weight.
    replace (dot D (fun d => V a d - V b d) (X n)) with (logit p V n a - logit p V n b); [ring|].
    unfold logit, dot. rewrite <- Sum_minus. apply Sum_ext. intros. ring.
  Qed.

  (** Lower weights give a lower form. *)
  Lemma gram_form_mono w w' v : (forall n, (n < N)%nat -> w n <= w' n) -> gram_form w v <= gram_form w' v.
  Proof. intros le. apply Sum_le. intros n Hn. apply Rmult_le_compat_r; [apply Rle_0_sqr|auto]. Qed.

  (** ** The Laplacian *)

  (** The Laplacian's form of the weights m on the pairs of classes, each pair counted once. *)
  Definition laplacian (m : nat -> nat -> R) (u : nat -> R) : R :=
    / 2 * Sum C (fun a => Sum C (fun b => m a b * (u a - u b)²)).

  (** The form does not notice a constant; so it is enough to look at u with last entry 0, against the sum of squares
      about the mean. *)
  Lemma laplacian_shift m u a : laplacian m (fun i => u i + a) = laplacian m u.
  Proof. unfold laplacian. f_equal. apply Sum_ext. intros. apply Sum_ext. intros. f_equal. f_equal. ring. Qed.

  Lemma centred_zero_mean u : Sum C u = 0 -> forall i, centred C u i = u i.
  Proof. intros z i. unfold centred, Rdiv. rewrite z. ring. Qed.

  Lemma centred_shift u a i : centred C (fun i => u i + a) i = centred C u i.
  Proof.
    assert (HC : INR C <> 0) by (apply not_0_INR; assert (H := classes_pos p); lia).
    unfold centred. rewrite Sum_plus, Sum_const. field. auto.
  Qed.

  (** mu <= lambda_2 of the Laplacian, in the gauge u_(C-1) = 0: what the checker tests on matrices of order C - 1. *)
  Definition connects (m : nat -> nat -> R) (mu : R) : Prop :=
    forall u, u (C - 1)%nat = 0 -> mu * Sum C (fun i => (centred C u i)²) <= laplacian m u.

  Lemma connects_zero_mean m mu u : connects m mu -> Sum C u = 0 -> mu * Sum C (fun i => (u i)²) <= laplacian m u.
  Proof.
    intros con z. specialize (con (fun i => u i + - u (C - 1)%nat)). rewrite laplacian_shift in con.
    rewrite (Sum_ext C (fun i => (u i)²) (fun i => (centred C (fun i => u i + - u (C - 1)%nat) i)²)).
    - apply con. ring.
    - intros. now rewrite centred_shift, centred_zero_mean.
  Qed.

  Variable kept : nat -> bool.
  Variable sigma : nat -> R.

  (** M_ab >= m_ab Sigma^2 on the columns kept *)
  Definition pair_bound (W : matrix) (a b : nat) (m : R) : Prop :=
    forall v, (forall d, (d < D)%nat -> kept d = false -> v d = 0) ->
    m * Sum D (fun d => (v d * sigma d)²) <= gram_form (pair_weight W a b) v.

  (** S14: with M_ab >= m_ab Sigma^2 for all pairs (m_ab = 0 where nothing is known), lambda_2 of the Laplacian with the
      weights m is a lower bound of the curvature on the directions with zero column sums. *)
  Theorem S14_laplacian W m mu :
    (forall a b, (a < C)%nat -> (b < C)%nat -> pair_bound W a b (m a b)) -> connects m mu ->
    forall V, gauge_free p kept V -> mu * norm2 p (scale sigma V) <= hessian p W V V.
  Proof.
    intros each con V [zero off].
    apply Rle_trans with (Sum D (fun d => laplacian m (fun c => V c d * sigma d))).
    - unfold norm2, inner. rewrite Sum_swap, <- Sum_scal. apply Sum_le. intros d Hd.
      apply (connects_zero_mean m mu (fun c => V c d * sigma d) con). rewrite Sum_scal_r, zero by auto. ring.
    - apply Rmult_le_reg_l with 2; [lra|]. rewrite S14_pairs. unfold laplacian.
      rewrite Sum_scal, <- Rmult_assoc, Rinv_r, Rmult_1_l by lra.
      rewrite Sum_swap. apply Sum_le. intros a Ha. rewrite Sum_swap. apply Sum_le. intros b Hb.
      apply Rle_trans with (2 := each a b Ha Hb (fun d => V a d - V b d)
        (fun d Hd k => eq_trans (f_equal2 Rminus (off a d Ha Hd k) (off b d Hb Hd k)) (Rminus_0_r 0))).
      rewrite <- Sum_scal. apply Req_le, Sum_ext. intros d Hd. f_equal. f_equal. ring.
  Qed.

  (** Nothing is known of a pair: 0 is a bound. *)
  Lemma pair_bound_zero W a b : (a < C)%nat -> (b < C)%nat -> pair_bound W a b 0.
  Proof.
    intros Ha Hb v _. rewrite Rmult_0_l. apply Sum_nonneg. intros n Hn. apply Rmult_le_pos; [|apply Rle_0_sqr].
    destruct (prob_distribution p W n) as [pos _]. unfold pair_weight.
    apply Rmult_le_pos; [now apply weight_nonneg|]. assert (A := pos a Ha). assert (B := pos b Hb). nra.
  Qed.

  (** Weights rounded down prove a bound for the true ones. *)
  Lemma pair_bound_lower W a b m w :
    (forall n, (n < N)%nat -> w n <= pair_weight W a b n) ->
    (forall v, (forall d, (d < D)%nat -> kept d = false -> v d = 0) -> m * Sum D (fun d => (v d * sigma d)²) <= gram_form w v) ->
    pair_bound W a b m.
  Proof. intros low bound v on. apply Rle_trans with (1 := bound v on). now apply gram_form_mono. Qed.

  (** The integers Y within 1 of 2^P y: (Y_a - 1)^+ (Y_b - 1)^+ s / 4^P is at most s y_a y_b. *)
  Lemma rounded_weight W a b n P Ya Yb : (n < N)%nat -> (a < C)%nat -> (b < C)%nat -> 0 < P ->
    Rabs (Ya - P * prob p W n a) <= 1 -> Rabs (Yb - P * prob p W n b) <= 1 ->
    s n * (Rmax (Ya - 1) 0 * Rmax (Yb - 1) 0) / (P * P) <= pair_weight W a b n.
  Proof.
    intros Hn Ha Hb P0 ca cb. destruct (prob_distribution p W n) as [pos _].
    assert (pa := pos a Ha). assert (pb := pos b Hb). assert (w := weight_nonneg p n Hn).
    apply Rabs_le_between in ca. apply Rabs_le_between in cb.
    assert (la : 0 <= Rmax (Ya - 1) 0 <= P * prob p W n a).
    { split; [apply Rmax_r|]. apply Rmax_lub; [lra|]. apply Rmult_le_pos; lra. }
    assert (lb : 0 <= Rmax (Yb - 1) 0 <= P * prob p W n b).
    { split; [apply Rmax_r|]. apply Rmax_lub; [lra|]. apply Rmult_le_pos; lra. }
    unfold pair_weight. apply Rmult_le_reg_r with (P * P); [nra|]. unfold Rdiv. rewrite Rmult_assoc, Rinv_l by nra.
    rewrite Rmult_1_r. replace (s n * (prob p W n a * prob p W n b) * (P * P))
      with (s n * ((P * prob p W n a) * (P * prob p W n b))) by ring.
    apply Rmult_le_compat_l; [auto|]. apply Rmult_le_compat; tauto.
  Qed.

  (** The method "full": one matrix for the whole form, in the gauge v_(C-1) = 0, against the squares about the mean. *)
  Theorem S14_full_gauge W mu :
    (forall V, (forall d, V (C - 1)%nat d = 0) -> (forall c d, (c < C)%nat -> (d < D)%nat -> kept d = false -> V c d = 0) ->
      mu * Sum D (fun d => Sum C (fun c => (centred C (fun c => V c d * sigma d) c)²)) <= hessian p W V V) ->
    forall V, gauge_free p kept V -> mu * norm2 p (scale sigma V) <= hessian p W V V.
  Proof.
    intros gauge V [zero off]. assert (Hc := classes_pos p).
    set (U := fun c d => V c d + - V (C - 1)%nat d).
    assert (HU : hessian p W U U = hessian p W V V).
    { rewrite !S4_variance. apply Sum_ext. intros n Hn. f_equal.
      set (t := - logit p V n (C - 1)%nat).
      assert (E : forall i, logit p U n i = logit p V n i + t).
      { intros i. unfold t, logit, U. rewrite <- Sum_opp, <- Sum_plus. apply Sum_ext. intros. ring. }
      destruct (prob_distribution p W n) as [_ one].
      unfold Var. apply Sum_ext. intros i Hi. rewrite E.
      replace (mean C (prob p W n) (logit p U n)) with (mean C (prob p W n) (logit p V n) + t); [f_equal; f_equal; ring|].
      rewrite (mean_ext C (prob p W n) (prob p W n) (logit p U n) (fun i => logit p V n i + t)) by (trivial || (intros; apply E)).
      unfold mean. rewrite (Sum_ext C (fun i0 => prob p W n i0 * (logit p V n i0 + t))
        (fun i0 => prob p W n i0 * logit p V n i0 + prob p W n i0 * t)) by (intros; ring).
      rewrite Sum_plus, Sum_scal_r, one. ring. }
    rewrite <- HU. apply Rle_trans with (2 := gauge U (fun d => Rplus_opp_r _)
      (fun c d Hc' Hd k => ltac:(unfold U; rewrite !off by (auto; lia); ring))).
    apply Req_le.
    f_equal. unfold norm2, inner. rewrite Sum_swap. apply Sum_ext. intros d Hd. apply Sum_ext. intros c Hc'.
    assert (z : Sum C (fun c => V c d * sigma d) = 0) by (rewrite Sum_scal_r, zero by auto; ring).
    assert (E : centred C (fun c => U c d * sigma d) c = V c d * sigma d).
    { rewrite <- (centred_zero_mean (fun c => V c d * sigma d) z c).
      rewrite <- (centred_shift (fun c => V c d * sigma d) (- V (C - 1)%nat d * sigma d)).
      unfold centred. f_equal; [unfold U; ring|]. f_equal. apply Sum_ext. intros. unfold U. ring. }
    rewrite E. reflexivity.
  Qed.

  (** ... and the other way: nothing is lost. *)
  Theorem S14_full_gauge_necessary W mu :
    (forall V, gauge_free p kept V -> mu * norm2 p (scale sigma V) <= hessian p W V V) ->
    forall V, (forall d, V (C - 1)%nat d = 0) -> (forall c d, (c < C)%nat -> (d < D)%nat -> kept d = false -> V c d = 0) ->
    mu * Sum D (fun d => Sum C (fun c => (centred C (fun c => V c d * sigma d) c)²)) <= hessian p W V V.
  Proof.
    intros H V _ off. assert (HC : INR C <> 0) by (apply not_0_INR; assert (Hc := classes_pos p); lia).
    set (U := fun c d => centred C (fun i => V i d) c).
    assert (HU : gauge_free p kept U).
    { split.
      - intros d Hd. unfold U, centred. rewrite Sum_minus, Sum_const. field. auto.
      - intros c d Hc Hd k. unfold U, centred. rewrite off, (Sum_zero C) by (auto; intros; apply off; auto). field. auto. }
    assert (E : hessian p W U U = hessian p W V V).
    { rewrite !S4_variance. apply Sum_ext. intros n Hn. f_equal.
      set (t := - Sum D (fun d => Sum C (fun i => V i d) / INR C * X n d)).
      assert (L : forall i, logit p U n i = logit p V n i + t).
      { intros i. unfold t, logit, U, centred. rewrite <- Sum_opp, <- Sum_plus. apply Sum_ext. intros. ring. }
      destruct (prob_distribution p W n) as [_ one]. unfold Var. apply Sum_ext. intros i Hi. rewrite L.
      rewrite (mean_ext C (prob p W n) (prob p W n) (logit p U n) (fun i => logit p V n i + t)) by (trivial || (intros; apply L)).
      unfold mean. rewrite (Sum_ext C (fun i0 => prob p W n i0 * (logit p V n i0 + t))
        (fun i0 => prob p W n i0 * logit p V n i0 + prob p W n i0 * t)) by (intros; ring).
      rewrite Sum_plus, Sum_scal_r, one. f_equal. f_equal. ring. }
    rewrite <- E. apply Rle_trans with (2 := H U HU). apply Req_le. f_equal.
    unfold norm2, inner. rewrite Sum_swap. apply Sum_ext. intros c Hc. apply Sum_ext. intros d Hd.
    assert (F : centred C (fun c => V c d * sigma d) c = scale sigma U c d).
    { unfold scale, U, centred. rewrite Sum_scal_r. field. auto. }
    rewrite F. reflexivity.
  Qed.

  (** lambda_2 > 0 if the pairs with m_ab > 0 connect all classes with the last one. *)
  Inductive connected (m : nat -> nat -> R) : nat -> Prop :=
  | connected_last : connected m (C - 1)
  | connected_edge a b : connected m a -> (a < C)%nat -> (b < C)%nat -> 0 < m a b -> connected m b.

  Theorem S14_connected m : (forall a b, (a < C)%nat -> (b < C)%nat -> 0 <= m a b) ->
    (forall a, (a < C)%nat -> connected m a) -> exists mu, 0 < mu /\ connects m mu.
  Proof.
    intros m0 all.
    assert (lap0 : forall u a b, (a < C)%nat -> (b < C)%nat -> m a b * (u a - u b)² <= 2 * laplacian m u).
    { intros u a b Ha Hb. unfold laplacian. rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l by lra.
      assert (term : forall a b, (a < C)%nat -> (b < C)%nat -> 0 <= m a b * (u a - u b)²)
        by (intros; apply Rmult_le_pos; [auto|apply Rle_0_sqr]).
      apply Rle_trans with (Sum C (fun b => m a b * (u a - u b)²)).
      - apply (Sum_term_le C (fun b => m a b * (u a - u b)²)); auto.
      - apply (Sum_term_le C (fun a => Sum C (fun b => m a b * (u a - u b)²))); auto. intros. apply Sum_nonneg. auto. }
    (* along a path from the last class every u_b is bounded by the form *)
    assert (path : forall b, connected m b -> exists k, 0 <= k /\
      forall u, u (C - 1)%nat = 0 -> (u b)² <= k * laplacian m u).
    { intros b con. induction con as [|a b con [k [k0 IH]] Ha Hb pos].
      - exists 0. split; [lra|]. intros u z. rewrite z. unfold Rsqr. lra.
      - exists (2 * k + 4 / m a b). assert (i0 : 0 < 4 / m a b) by (apply Rdiv_lt_0_compat; lra). split; [lra|].
        intros u z. specialize (IH u z). assert (L := lap0 u a b Ha Hb).
        assert (S : (u a - u b)² <= 2 / m a b * laplacian m u).
        { apply Rmult_le_reg_l with (m a b); [auto|]. replace (m a b * (2 / m a b * laplacian m u)) with (2 * laplacian m u)
            by (field; lra). exact L. }
        replace (4 / m a b) with (2 * (2 / m a b)) by (field; lra).
        assert (0 <= (2 * u a - u b)²) by apply Rle_0_sqr. unfold Rsqr in *. nra. }
    assert (sums : forall n, (n <= C)%nat -> exists k, 0 <= k /\
      forall u, u (C - 1)%nat = 0 -> Sum n (fun i => (u i)²) <= k * laplacian m u).
    { induction n as [|n IH]; intros Hn.
      - exists 0. split; [lra|]. intros. simpl. lra.
      - destruct IH as [k [k0 Hk]]; [lia|]. destruct (path n (all n Hn)) as [l [l0 Hl]]. exists (k + l). split; [lra|].
        intros u z. simpl. specialize (Hk u z). specialize (Hl u z). lra. }
    destruct (sums C (le_n C)) as [k [k0 Hk]]. exists (/ (k + 1)). split; [apply Rinv_0_lt_compat; lra|].
    intros u z. specialize (Hk u z).
    assert (cen : Sum C (fun i => (centred C u i)²) <= Sum C (fun i => (u i)²)).
    { assert (HC : 0 < INR C) by apply (lt_0_INR _ (classes_pos p)). set (mean := Sum C u / INR C).
      rewrite (Sum_ext C (fun i => (centred C u i)²) (fun i => (u i)² + (mean² - 2 * mean * u i)))
        by (intros; unfold centred, mean, Rsqr; ring).
      rewrite Sum_plus, Sum_minus, Sum_const, Sum_scal.
      replace (INR C * mean² - 2 * mean * Sum C u) with (- (INR C * mean²)); [assert (0 <= mean²) by apply Rle_0_sqr; nra|].
      unfold mean, Rsqr. field. lra. }
    assert (l0 : 0 <= laplacian m u).
    { unfold laplacian. apply Rmult_le_pos; [lra|]. apply Sum_nonneg. intros. apply Sum_nonneg. intros.
      apply Rmult_le_pos; [auto|apply Rle_0_sqr]. }
    apply Rmult_le_reg_l with (k + 1); [lra|]. rewrite <- Rmult_assoc, Rinv_r by lra. nra.
  Qed.
End Pairs.

(** ** S15b: semidefinite by an exact residual *)

Definition quadratic (n : nat) (M : nat -> nat -> R) (x : nat -> R) : R :=
  Sum n (fun i => Sum n (fun j => M i j * x i * x j)).

(** A symmetric E is semidefinite if with some v > 0 every E_ii v_i is at least the sum of the |E_ij| v_j, j <> i. *)
Lemma dominant_semidefinite n E v x :
  (forall i j, (i < n)%nat -> (j < n)%nat -> E i j = E j i) -> (forall i, (i < n)%nat -> 0 < v i) ->
  (forall i, (i < n)%nat -> Sum n (fun j => if Nat.eqb j i then 0 else Rabs (E i j) * v j) <= E i i * v i) ->
  0 <= quadratic n E x.
Proof.
  intros sym pos dom.
  (* 2 E_ij x_i x_j >= - |E_ij| (v_j / v_i x_i^2 + v_i / v_j x_j^2) *)
  pose (f := fun i j => if Nat.eqb j i then 0 else Rabs (E i j) * v j * (x i)² / v i).
  assert (term : forall i j, (i < n)%nat -> (j < n)%nat ->
    (if Nat.eqb j i then E i i * (x i)² else 0) - / 2 * (f i j + f j i) <= E i j * x i * x j).
  { intros i j Hi Hj. unfold f. rewrite (Nat.eqb_sym i j). destruct (Nat.eqb_spec j i) as [->|ne]; [unfold Rsqr; lra|].
    rewrite (sym j i) by auto. assert (vi := pos i Hi). assert (vj := pos j Hj).
    set (e := E i j). assert (A := Rabs_pos e).
    assert (sq : 0 <= Rabs e * (/ (v i * v j) * (v j * x i + (if Rle_dec 0 e then 1 else -1) * (v i * x j))²)).
    { apply Rmult_le_pos; [auto|]. apply Rmult_le_pos; [|apply Rle_0_sqr]. left. apply Rinv_0_lt_compat. nra. }
    assert (Ee : e = Rabs e * (if Rle_dec 0 e then 1 else -1)).
    { destruct (Rle_dec 0 e); [rewrite Rabs_pos_eq by auto|rewrite Rabs_left by lra]; lra. }
    set (sg := if Rle_dec 0 e then 1 else -1) in *.
    assert (s2 : sg * sg = 1) by (unfold sg; destruct (Rle_dec 0 e); lra).
    replace (/ (v i * v j) * (v j * x i + sg * (v i * x j))²)
      with (v j * (x i)² / v i + v i * (x j)² / v j + 2 * sg * x i * x j) in sq.
    2:{ unfold Rsqr. replace ((v j * x i + sg * (v i * x j)) * (v j * x i + sg * (v i * x j)))
          with (v j * x i * (v j * x i) + 2 * sg * (v j * x i) * (v i * x j) + sg * sg * (v i * x j) * (v i * x j)) by ring.
        rewrite s2. field. lra. }
    rewrite Ee at 3. unfold Rdiv in *. nra. }
  unfold quadratic.
  apply Rle_trans with (Sum n (fun i => Sum n (fun j => (if Nat.eqb j i then E i i * (x i)² else 0) - / 2 * (f i j + f j i)))).
  2:{ apply Sum_le. intros i Hi. apply Sum_le. intros j Hj. now apply term. }
  rewrite (Sum_ext n _ (fun i => (E i i * (x i)² - / 2 * Sum n (fun j => f i j)) - / 2 * Sum n (fun j => f j i))).
  2:{ intros i Hi. rewrite Sum_minus, Sum_scal, Sum_plus. rewrite (Sum_pick n i (fun _ => E i i * (x i)²)) by auto.
      change (Sum n (fun j => f i j)) with (Sum n (f i)). ring. }
  rewrite Sum_minus, Sum_scal, (Sum_swap n n (fun i j => f j i)), <- Sum_scal, <- Sum_minus.
  apply Sum_nonneg. intros i Hi. specialize (dom i Hi). specialize (pos i Hi).
  assert (F : Sum n (fun j => f i j) = Sum n (fun j => if Nat.eqb j i then 0 else Rabs (E i j) * v j) * ((x i)² / v i)).
  { rewrite <- Sum_scal_r. apply Sum_ext. intros j Hj. unfold f. destruct (Nat.eqb j i); unfold Rdiv; ring. }
  rewrite F. assert (y0 : 0 <= (x i)² / v i) by (apply Rmult_le_pos; [apply Rle_0_sqr|left; now apply Rinv_0_lt_compat]).
  assert (Ey : E i i * (x i)² = E i i * v i * ((x i)² / v i)) by (field; lra).
  rewrite Ey. nra.
Qed.

(** M = R R^T + (M - R R^T), and the first is semidefinite: M is at least the residual, whatever R is. *)
Theorem S15b_residual n k M R x :
  quadratic n (fun i j => M i j - Sum k (fun l => R i l * R j l)) x <= quadratic n M x.
Proof.
  unfold quadratic.
  assert (sq : 0 <= Sum k (fun l => (Sum n (fun i => R i l * x i))²)) by (apply Sum_nonneg; intros; apply Rle_0_sqr).
  rewrite (Sum_ext k _ (fun l => Sum n (fun i => Sum n (fun j => R i l * x i * (R j l * x j))))) in sq
    by (intros; unfold Rsqr; apply Sum_product).
  rewrite Sum_swap in sq.
  rewrite (Sum_ext n (fun i => Sum k (fun l => Sum n (fun j => R i l * x i * (R j l * x j))))
    (fun i => Sum n (fun j => Sum k (fun l => R i l * R j l) * x i * x j))) in sq.
  - enough (Sum n (fun i => Sum n (fun j => (M i j - Sum k (fun l => R i l * R j l)) * x i * x j)) =
      Sum n (fun i => Sum n (fun j => M i j * x i * x j)) -
      Sum n (fun i => Sum n (fun j => Sum k (fun l => R i l * R j l) * x i * x j))) by lra.
    rewrite <- Sum_minus. apply Sum_ext. intros. rewrite <- Sum_minus. apply Sum_ext. intros. ring.
  - intros i Hi. rewrite Sum_swap. apply Sum_ext. intros j Hj. rewrite <- !Sum_scal_r. apply Sum_ext. intros. ring.
Qed.

(** M >= - e I where e is at least every row sum of the residual's magnitudes. *)
Corollary S15b_row_sums n k M R e x : (forall i j, (i < n)%nat -> (j < n)%nat -> M i j = M j i) ->
  (forall i, (i < n)%nat -> Sum n (fun j => Rabs (M i j - Sum k (fun l => R i l * R j l))) <= e) ->
  - e * Sum n (fun i => (x i)²) <= quadratic n M x.
Proof.
  intros sym rows. apply Rle_trans with (2 := S15b_residual n k M R x).
  set (E := fun i j => M i j - Sum k (fun l => R i l * R j l)) in *.
  assert (H := dominant_semidefinite n (fun i j => E i j + (if Nat.eqb j i then e else 0)) (fun _ => 1) x).
  assert (shift : quadratic n (fun i j => E i j + (if Nat.eqb j i then e else 0)) x = quadratic n E x + e * Sum n (fun i => (x i)²)).
  { unfold quadratic. rewrite <- Sum_scal, <- Sum_plus. apply Sum_ext. intros i Hi.
    rewrite <- (Sum_pick n i (fun j => e * (x j)²) Hi), <- Sum_plus. apply Sum_ext. intros j Hj.
    destruct (Nat.eqb_spec j i) as [->|ne]; unfold Rsqr; ring. }
  enough (0 <= quadratic n (fun i j => E i j + (if Nat.eqb j i then e else 0)) x) by lra. apply H.
  - intros i j Hi Hj. unfold E. rewrite (sym i j), (Nat.eqb_sym j i) by auto. f_equal. f_equal.
    apply Sum_ext. intros. ring.
  - intros; lra.
  - intros i Hi. specialize (rows i Hi). change (Sum n (fun j => Rabs (E i j)) <= e) in rows. rewrite Nat.eqb_refl.
    rewrite (Sum_ext n _ (fun j => Rabs (E i j) - (if Nat.eqb j i then Rabs (E i j) else 0))).
    + rewrite Sum_minus, (Sum_pick n i (fun j => Rabs (E i j)) Hi). assert (A := Rle_abs (- E i i)).
      rewrite Rabs_Ropp in A. lra.
    + intros j Hj. destruct (Nat.eqb_spec j i) as [->|ne]; [ring|]. rewrite Rplus_0_r. ring.
Qed.

(** What shows_semidefinite tests: 2 E_ii v_i >= sum_j |E_ij| v_j for the residual E = M - R R^T, with the diagonal in the
    sum. *)
Theorem checker_semidefinite n k M R v :
  (forall i j, (i < n)%nat -> (j < n)%nat -> M i j = M j i) -> (forall i, (i < n)%nat -> 0 < v i) ->
  (forall i, (i < n)%nat ->
    Sum n (fun j => Rabs (M i j - Sum k (fun l => R i l * R j l)) * v j)
      <= 2 * (M i i - Sum k (fun l => R i l * R i l)) * v i) ->
  forall x, 0 <= quadratic n M x.
Proof.
  intros sym pos test x. apply Rle_trans with (2 := S15b_residual n k M R x). apply dominant_semidefinite with v; auto.
  - intros i j Hi Hj. rewrite (sym i j) by auto. f_equal. apply Sum_ext. intros. ring.
  - intros i Hi. specialize (test i Hi). set (E := fun i j => M i j - Sum k (fun l => R i l * R j l)) in *.
    change (Sum n (fun j => Rabs (E i j) * v j) <= 2 * E i i * v i) in test.
    change (Sum n (fun j => if Nat.eqb j i then 0 else Rabs (E i j) * v j) <= E i i * v i).
    rewrite (Sum_ext n _ (fun j => Rabs (E i j) * v j - (if Nat.eqb j i then Rabs (E i j) * v j else 0))).
    + rewrite Sum_minus, (Sum_pick n i (fun j => Rabs (E i j) * v j)) by auto.
      assert (A := Rle_abs (E i i)). specialize (pos i Hi). nra.
    + intros j Hj. destruct (Nat.eqb j i); ring.
Qed.

(** ** The method "pairs", whole *)

Section Method.
  Variable p : problem.
  Notation N := (samples p).
  Notation C := (classes p).
  Notation D := (features p).
  Notation X := (input p).
  Variable kept : nat -> bool.
  Variable sigma : nat -> R.
  Hypothesis sigma_pos : forall d, 0 < sigma d.

  (** The matrix that is tested for a pair: Sigma^-1 (sum_n w_n x_n x_n^T) Sigma^-1 - m I on the columns kept. *)
  Definition pair_matrix (w : nat -> R) (m : R) (d e : nat) : R :=
    if kept d && kept e then
      Sum N (fun n => w n * X n d * X n e) / (sigma d * sigma e) - (if Nat.eqb d e then m else 0)
    else 0.

  Lemma pair_matrix_form w m v : (forall d, (d < D)%nat -> kept d = false -> v d = 0) ->
    quadratic D (pair_matrix w m) (fun d => v d * sigma d) = gram_form p w v - m * Sum D (fun d => (v d * sigma d)²).
  Proof.
    intros off. unfold quadratic, gram_form.
    rewrite (Sum_ext N _ (fun n => Sum D (fun d => Sum D (fun e => w n * X n d * X n e * (v d * v e))))).
    2:{ intros n Hn. unfold Rsqr, dot. rewrite Sum_product, <- Sum_scal. apply Sum_ext. intros.
        rewrite <- Sum_scal. apply Sum_ext. intros. ring. }
    rewrite (Sum_swap N D), <- Sum_scal, <- Sum_minus. apply Sum_ext. intros d Hd.
    rewrite (Sum_swap N D), <- (Sum_pick D d (fun e => m * (v e * sigma e)²) Hd), <- Sum_minus. apply Sum_ext. intros e He.
    rewrite Sum_scal_r. unfold pair_matrix. assert (pd := sigma_pos d). assert (pe := sigma_pos e).
    rewrite (Nat.eqb_sym e d).
    destruct (kept d) eqn:kd; [|rewrite (off d) by auto; simpl; destruct (Nat.eqb_spec d e) as [<-|ne];
      [rewrite (off d) by auto|]; unfold Rsqr; ring].
    destruct (kept e) eqn:ke; [|rewrite (off e) by auto; simpl; destruct (Nat.eqb_spec d e) as [<-|ne];
      [congruence|]; unfold Rsqr; ring].
    simpl. destruct (Nat.eqb_spec d e) as [<-|ne]; unfold Rsqr; field; lra.
  Qed.

  (** If that matrix is semidefinite, and the weights are lower bounds, m is a bound for the pair. *)
  Lemma checker_pair W a b w m :
    (forall n, (n < N)%nat -> w n <= pair_weight p W a b n) -> (forall x, 0 <= quadratic D (pair_matrix w m) x) ->
    pair_bound p kept sigma W a b m.
  Proof.
    intros low semi. apply pair_bound_lower with w; auto. intros v off.
    specialize (semi (fun d => v d * sigma d)). rewrite pair_matrix_form in semi by auto. lra.
  Qed.

  (** The matrix of order C - 1 that is tested for the graph: the Laplacian less mu (I - 11^T / C). *)
  Definition reduced_laplacian (m : nat -> nat -> R) (mu : R) (a b : nat) : R :=
    (if Nat.eqb a b then Sum C (m a) else 0) - m a b - mu * ((if Nat.eqb a b then 1 else 0) - / INR C).

  Lemma Sum_last n f : (0 < n)%nat -> f (n - 1)%nat = 0 -> Sum n f = Sum (n - 1) f.
  Proof. intros H z. destruct n; [lia|]. simpl in *. rewrite Nat.sub_0_r in *. rewrite z. ring. Qed.

  Lemma reduced_laplacian_form m mu u : (forall a b, (a < C)%nat -> (b < C)%nat -> m a b = m b a) -> u (C - 1)%nat = 0 ->
    quadratic (C - 1) (reduced_laplacian m mu) u = laplacian p m u - mu * Sum C (fun i => (centred C u i)²).
  Proof.
    intros sym z. assert (Hc := classes_pos p). assert (HC : INR C <> 0) by (apply not_0_INR; lia).
    assert (full : quadratic (C - 1) (reduced_laplacian m mu) u = quadratic C (reduced_laplacian m mu) u).
    { unfold quadratic. rewrite (Sum_last C) by (auto; apply Sum_zero; intros; rewrite z; ring).
      apply Sum_ext. intros i Hi. symmetry. apply Sum_last; auto. rewrite z. ring. }
    rewrite full. unfold quadratic, laplacian.
    (* both sides are sum_a (sum_b m_ab) u_a^2 - sum_ab m_ab u_a u_b - mu (sum u^2 - (sum u)^2 / C) *)
    assert (L : / 2 * Sum C (fun a => Sum C (fun b => m a b * (u a - u b)²)) =
      Sum C (fun a => Sum C (m a) * (u a)²) - Sum C (fun a => Sum C (fun b => m a b * u a * u b))).
    { rewrite (Sum_ext C (fun a => Sum C (fun b => m a b * (u a - u b)²)) (fun a => (Sum C (m a) * (u a)²
        + Sum C (fun b => m a b * (u b)²)) - 2 * Sum C (fun b => m a b * u a * u b))).
      2:{ intros a Ha. rewrite <- Sum_scal_r, <- Sum_scal, <- Sum_plus, <- Sum_minus. apply Sum_ext. intros. unfold Rsqr. ring. }
      rewrite Sum_minus, Sum_plus, Sum_scal.
      assert (E : Sum C (fun a => Sum C (fun b => m a b * (u b)²)) = Sum C (fun a => Sum C (m a) * (u a)²)).
      { rewrite Sum_swap. apply Sum_ext. intros b Hb. rewrite <- Sum_scal_r. apply Sum_ext. intros a Ha.
        now rewrite (sym a b). }
      rewrite E. field. }
    assert (Q : Sum C (fun i => (centred C u i)²) = Sum C (fun i => (u i)²) - Sum C u * Sum C u / INR C).
    { rewrite (Sum_ext C _ (fun i => (u i)² + ((Sum C u / INR C)² - 2 * (Sum C u / INR C) * u i)))
        by (intros; unfold centred, Rsqr; ring).
      rewrite Sum_plus, Sum_minus, Sum_const, Sum_scal. unfold Rsqr. field. auto. }
    rewrite L, Q. unfold reduced_laplacian.
    rewrite (Sum_ext C _ (fun a => (Sum C (m a) * (u a)² - Sum C (fun b => m a b * u a * u b))
      - (mu * (u a)² - mu / INR C * (u a * Sum C u)))).
    - rewrite !Sum_minus, !Sum_scal, Sum_scal_r. field. auto.
    - intros a Ha. rewrite <- (Sum_pick C a (fun b => Sum C (m a) * (u b)² ) Ha) at 1.
      rewrite <- (Sum_pick C a (fun b => mu * (u b)²) Ha) at 1.
      rewrite <- (Sum_scal C (u a) u), <- (Sum_scal C (mu / INR C)), <- !Sum_minus. apply Sum_ext. intros b Hb.
      rewrite (Nat.eqb_sym b a). destruct (Nat.eqb_spec a b) as [<-|ne]; unfold Rsqr; field; auto.
  Qed.

  (** The whole method: for every pair a matrix that is semidefinite, and one for the graph: mu is a bound of the
      curvature, as the checker of the minimum needs it. Pairs of which nothing is said have m_ab = 0. *)
  Theorem checker_curvature_pairs W m w mu :
    (forall a b, (a < C)%nat -> (b < C)%nat -> m a b = m b a) ->
    (forall a b, (a < C)%nat -> (b < C)%nat -> m a b = 0 \/
      ((forall n, (n < N)%nat -> w a b n <= pair_weight p W a b n) /\
       forall x, 0 <= quadratic D (pair_matrix (w a b) (m a b)) x)) ->
    (forall u, 0 <= quadratic (C - 1) (reduced_laplacian m mu) u) ->
    forall V, gauge_free p kept V -> mu * norm2 p (scale sigma V) <= hessian p W V V.
  Proof.
    intros sym pairs graph. apply S14_laplacian with m.
    - intros a b Ha Hb. destruct (pairs a b Ha Hb) as [z|[low semi]].
      + rewrite z. now apply pair_bound_zero.
      + now apply checker_pair with (w a b).
    - intros u z. specialize (graph u). rewrite reduced_laplacian_form in graph by auto. lra.
  Qed.
End Method.
