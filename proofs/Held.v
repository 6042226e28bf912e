(** * S13, features held by an L2 penalty and free intercepts (docs/theory.md, S13, last part)

    A lower bound of the curvature that needs no eigenvalues: by a ridge regression for every class. *)

From Coq Require Import Reals Lra Lia List.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Curvature Minimum.
Import ListNotations.
Open Scope R_scope.

Section Ridge.
  Variables (N D : nat) (x : nat -> nat -> R) (m theta : nat -> R) (alpha tau : R).
  Hypothesis m_nonneg : forall n, (n < N)%nat -> 0 <= m n.
  Hypothesis theta_zero : forall n, (n < N)%nat -> m n = 0 -> theta n = 0.
  Hypothesis alpha_pos : 0 < alpha.
  Hypothesis tau_pos : 0 < tau.

  (** sum_n m_n (a^T x_n + b)^2 + alpha |a|^2 *)
  Definition ridge (a : nat -> R) (b : R) : R :=
    Sum N (fun n => m n * (dot D a (x n) + b)²) + alpha * dot D a a.

  (** v = sum_n m_n x_n and h = X^T theta *)
  Definition moment (e : nat) : R := Sum N (fun n => m n * x n e).
  Definition held (e : nat) : R := Sum N (fun n => theta n * x n e).

  Definition denominator : R := Sum N (fun n => (theta n)² / m n) + dot D held held / alpha.
  Definition sigma : R := (Sum N theta)² / denominator.
  (** kappa^2, kappa = min(|v| / alpha, (M / alpha)^(1/2)) *)
  Definition kappa2 : R := Rmin (dot D moment moment / alpha²) (Sum N m / alpha).
  Definition mu : R := alpha * sigma / (alpha * (tau² + kappa2) + sigma).

  Lemma ridge_nonneg a b : 0 <= ridge a b.
  Proof.
    unfold ridge. assert (0 <= Sum N (fun n => m n * (dot D a (x n) + b)²)).
    { apply Sum_nonneg. intros n Hn. apply Rmult_le_pos; [auto|apply Rle_0_sqr]. }
    assert (H' := dot_self_nonneg D a). nra.
  Qed.

  Lemma quotients_nonneg n : (n < N)%nat -> 0 <= (theta n)² / m n.
  Proof.
    intros Hn. destruct (m_nonneg n Hn) as [pos|z].
    - apply Rmult_le_pos; [apply Rle_0_sqr|left; now apply Rinv_0_lt_compat].
    - rewrite theta_zero by auto. unfold Rdiv, Rsqr. rewrite !Rmult_0_l. lra.
  Qed.

  Lemma denominator_nonneg : 0 <= denominator.
  Proof.
    unfold denominator. assert (0 <= Sum N (fun n => (theta n)² / m n)) by (apply Sum_nonneg; exact quotients_nonneg).
    assert (0 <= dot D held held / alpha).
    { apply Rmult_le_pos; [apply dot_self_nonneg|left; now apply Rinv_0_lt_compat]. } lra.
  Qed.

  Lemma dot_sum (f : nat -> R) a : dot D a (fun e => Sum N (fun n => f n * x n e)) = Sum N (fun n => f n * dot D a (x n)).
  Proof.
    unfold dot. rewrite (Sum_ext D _ (fun e => Sum N (fun n => f n * (a e * x n e)))).
    - rewrite Sum_swap. apply Sum_ext. intros. now rewrite Sum_scal.
    - intros e He. rewrite <- Sum_scal. apply Sum_ext. intros. ring.
  Qed.

  (** For every t: m u^2 >= 2 t theta u - t^2 theta^2 / m, summed, least in a. *)
  Lemma ridge_dual a b t : 2 * t * b * Sum N theta - t² * denominator <= ridge a b.
  Proof.
    assert (rows : Sum N (fun n => 2 * t * theta n * (dot D a (x n) + b) - t² * ((theta n)² / m n))
      <= Sum N (fun n => m n * (dot D a (x n) + b)²)).
    { apply Sum_le. intros n Hn. set (u := dot D a (x n) + b). destruct (m_nonneg n Hn) as [pos|z].
      - assert (H : 0 <= m n * (u - t * theta n / m n)²) by (apply Rmult_le_pos; [lra|apply Rle_0_sqr]).
        replace (m n * (u - t * theta n / m n)²) with (m n * u² - 2 * t * theta n * u + t² * ((theta n)² / m n)) in H
          by (unfold Rsqr; field; lra). lra.
      - rewrite theta_zero, <- z by auto. unfold Rdiv, Rsqr. lra. }
    rewrite Sum_minus, Sum_scal in rows.
    rewrite (Sum_ext N (fun n => 2 * t * theta n * (dot D a (x n) + b))
      (fun n => 2 * t * (theta n * dot D a (x n)) + 2 * t * b * theta n)) in rows by (intros; ring).
    rewrite Sum_plus, !Sum_scal, <- dot_sum in rows. fold held in rows.
    (* alpha |a|^2 + 2 t a^T h >= - t^2 |h|^2 / alpha *)
    assert (sq : 0 <= Sum D (fun e => alpha * (a e + t * held e / alpha)²)).
    { apply Sum_nonneg. intros. apply Rmult_le_pos; [lra|apply Rle_0_sqr]. }
    rewrite (Sum_ext D _ (fun e => alpha * (a e * a e) + (2 * t * (a e * held e) + t² / alpha * (held e * held e)))) in sq
      by (intros; unfold Rsqr; field; lra).
    rewrite !Sum_plus, !Sum_scal in sq. fold (dot D a a) (dot D a held) (dot D held held) in sq.
    unfold ridge, denominator. change (fun e => Sum N (fun n => theta n * x n e)) with held in rows.
    replace (t² * (Sum N (fun n => (theta n)² / m n) + dot D held held / alpha))
      with (t² * Sum N (fun n => (theta n)² / m n) + t² / alpha * dot D held held) by (unfold Rdiv; ring). lra.
  Qed.

  (** So the ridge is at least sigma b^2 (t = b sum theta / denominator). *)
  Lemma ridge_sigma a b : sigma * b² <= ridge a b.
  Proof.
    destruct denominator_nonneg as [pos|z].
    - assert (H := ridge_dual a b (b * Sum N theta / denominator)). unfold sigma.
      replace ((Sum N theta)² / denominator * b²) with (2 * (b * Sum N theta / denominator) * b * Sum N theta
        - (b * Sum N theta / denominator)² * denominator) by (unfold Rsqr; field; lra). exact H.
    - (* then theta = 0 *)
      assert (zero : Sum N theta = 0).
      { apply Sum_zero. intros n Hn. destruct (m_nonneg n Hn) as [pos|zn]; [|now apply theta_zero].
        assert (S0 : Sum N (fun n => (theta n)² / m n) = 0).
        { assert (A : 0 <= Sum N (fun n => (theta n)² / m n)) by (apply Sum_nonneg; exact quotients_nonneg).
          assert (B : 0 <= dot D held held / alpha).
          { apply Rmult_le_pos; [apply dot_self_nonneg|left; now apply Rinv_0_lt_compat]. }
          unfold denominator in z. lra. }
        apply (Sum_eq_0 N (fun n => (theta n)² / m n)) with (i := n) in S0; auto; [|exact quotients_nonneg].
        apply Rmult_integral in S0. destruct S0 as [S0|S0]; [now apply Rsqr_0_uniq|].
        assert (P := Rinv_0_lt_compat _ pos). lra. }
      unfold sigma. rewrite zero. unfold Rdiv, Rsqr. rewrite !Rmult_0_l. apply ridge_nonneg.
  Qed.

  Lemma sigma_nonneg : 0 <= sigma.
  Proof.
    destruct denominator_nonneg as [pos|z].
    - apply Rmult_le_pos; [apply Rle_0_sqr|left; now apply Rinv_0_lt_compat].
    - unfold sigma. rewrite <- z. assert (H := ridge_sigma (fun _ => 0) 1). unfold sigma in H. rewrite <- z in H.
      unfold Rdiv. rewrite Rinv_0, Rmult_0_r. lra.
  Qed.

  (** The normal equations (G + alpha I) w = v, G = sum_n m_n x_n x_n^T: they have a solution, as G + alpha I is definite. *)
  Definition normal (w : nat -> R) (e : nat) : R := Sum N (fun n => m n * dot D w (x n) * x n e) + alpha * w e.

  Lemma dot_normal a w : dot D a (normal w) = Sum N (fun n => m n * dot D w (x n) * dot D a (x n)) + alpha * dot D a w.
  Proof.
    unfold normal. unfold dot at 1.
    rewrite (Sum_ext D _ (fun e => a e * Sum N (fun n => m n * dot D w (x n) * x n e) + alpha * (a e * w e))) by (intros; ring).
    rewrite Sum_plus, Sum_scal. f_equal. apply (dot_sum (fun n => m n * dot D w (x n))).
  Qed.

  (** A problem of one class, so that vectors are matrices of one row. *)
  Lemma one_target : Sum 1 (fun _ => 1) = 1.
  Proof. simpl. ring. Qed.
  Definition rows_only : problem :=
    {| samples := 0; classes := 1; features := D; input := x; target := fun _ _ => 1; weight := fun _ => 1;
       classes_pos := Nat.lt_0_succ 0; weight_nonneg := fun _ _ => Rle_0_1; target_nonneg := fun _ _ _ _ => Rle_0_1;
       target_sum := fun _ _ => one_target |}.
  Definition row (v : nat -> R) : matrix := fun _ e => v e.

  Lemma inner_row A B : inner rows_only A B = dot D (A 0%nat) (B 0%nat).
  Proof. unfold inner, dot. simpl. ring. Qed.

  Lemma normal_solvable v : exists w, forall e, (e < D)%nat -> normal w e = v e.
  Proof.
    set (basis := fun f e => if Nat.eqb e f then 1 else 0).
    set (As := map (fun f => row (normal (basis f))) (seq 0 D)).
    destruct (decomposition rows_only As (row v)) as [K [HK inU]].
    assert (pick : forall a f, (f < D)%nat -> dot D a (basis f) = a f).
    { intros a f Hf. unfold dot, basis. rewrite (Sum_ext D _ (fun e => if Nat.eqb e f then a e else 0)).
      - now apply Sum_pick.
      - intros e _. destruct (Nat.eqb e f); ring. }
    (* (G + alpha I) K = 0, so K = 0 *)
    assert (sym : forall a w, dot D a (normal w) = dot D w (normal a)).
    { intros. rewrite !dot_normal, (dot_comm D w a). f_equal. apply Sum_ext. intros. ring. }
    assert (N0 : forall f, (f < D)%nat -> normal (K 0%nat) f = 0).
    { intros f Hf. rewrite <- (pick (normal (K 0%nat)) f Hf), dot_comm, sym.
      rewrite dot_comm, <- (HK (row (normal (basis f)))).
      - rewrite inner_row. reflexivity.
      - apply in_map_iff. exists f. split; [reflexivity|]. apply in_seq. lia. }
    assert (K0 : dot D (K 0%nat) (K 0%nat) = 0).
    { assert (E : dot D (K 0%nat) (normal (K 0%nat)) = 0) by (apply Sum_zero; intros e He; rewrite N0 by auto; ring).
      rewrite dot_normal in E.
      assert (0 <= Sum N (fun n => m n * dot D (K 0%nat) (x n) * dot D (K 0%nat) (x n))).
      { apply Sum_nonneg. intros n Hn. rewrite Rmult_assoc. apply Rmult_le_pos; [auto|]. apply Rle_0_sqr. }
      assert (P := dot_self_nonneg D (K 0%nat)). nra. }
    assert (Kz : forall e, (e < D)%nat -> K 0%nat e = 0).
    { intros e He. assert (E := Sum_eq_0 D (fun e => K 0%nat e * K 0%nat e)). specialize (E (fun i _ => Rle_0_sqr _) K0 e He).
      cbv beta in E. nra. }
    assert (inv : span rows_only As (row v)).
    { apply span_same with (2 := inU). intros c e Hc He. simpl in Hc, He. unfold minus. replace c with 0%nat by lia.
      rewrite Kz by auto. unfold row. ring. }
    (* a combination of the (G + alpha I) e_f is some (G + alpha I) w *)
    assert (comb : forall l U, span rows_only (map (fun f => row (normal (basis f))) l) U ->
      exists w, forall e, (e < D)%nat -> normal w e = U 0%nat e).
    { clear. induction l as [|f l IH]; simpl; intros U.
      - intros z. exists (fun _ => 0). intros e He. rewrite (z 0%nat e) by (simpl; auto; lia). unfold normal.
        rewrite Sum_zero; [ring|]. intros n _. unfold dot. rewrite (Sum_zero D) by (intros; ring). ring.
      - intros [a H]. destruct (IH _ H) as [w Hw]. exists (fun e => w e + - a * basis f e). intros e He.
        assert (E := Hw e He). unfold move, row in E.
        transitivity (normal w e + - a * normal (basis f) e); [|lra]. unfold normal.
        rewrite (Sum_ext N (fun n => m n * dot D (fun e0 => w e0 + - a * basis f e0) (x n) * x n e)
          (fun n => m n * dot D w (x n) * x n e + - a * (m n * dot D (basis f) (x n) * x n e))).
        + rewrite Sum_plus, Sum_scal. ring.
        + intros n _. replace (dot D (fun e0 => w e0 + - a * basis f e0) (x n)) with (dot D w (x n) + - a * dot D (basis f) (x n));
            [ring|]. unfold dot. rewrite <- Sum_scal, <- Sum_plus. apply Sum_ext. intros. ring. }
    destruct (comb _ _ inv) as [w Hw]. exists w. intros e He. now rewrite Hw.
  Qed.

  (** |w|^2 <= kappa^2 *)
  Lemma solution_small w : (forall e, (e < D)%nat -> normal w e = moment e) -> dot D w w <= kappa2.
  Proof.
    intros eq.
    assert (E : Sum N (fun n => m n * dot D w (x n) * dot D w (x n)) + alpha * dot D w w = dot D w moment).
    { rewrite <- dot_normal. apply Sum_ext. intros e He. now rewrite eq. }
    assert (E' : dot D w moment = Sum N (fun n => m n * dot D w (x n))) by apply dot_sum.
    assert (G0 : 0 <= Sum N (fun n => m n * dot D w (x n) * dot D w (x n))).
    { apply Sum_nonneg. intros n Hn. rewrite Rmult_assoc. apply Rmult_le_pos; [auto|]. apply Rle_0_sqr. }
    assert (w0 := dot_self_nonneg D w). unfold kappa2. apply Rmin_glb.
    - assert (cs := Cauchy_Schwarz D w moment). assert (l : alpha * dot D w w <= dot D w moment) by lra.
      assert (a2 : 0 < alpha²) by (apply Rlt_0_sqr; lra).
      apply Rmult_le_reg_l with (alpha²); [auto|].
      replace (alpha² * (dot D moment moment / alpha²)) with (dot D moment moment) by (field; lra).
      destruct w0 as [pos|z]; [|rewrite <- z, Rmult_0_r; apply dot_self_nonneg].
      apply Rmult_le_reg_l with (dot D w w); [auto|].
      apply Rle_trans with (2 := cs). unfold Rsqr in *.
      assert (0 <= alpha * dot D w w) by nra. nra.
    - apply Rmult_le_reg_l with alpha; [auto|]. replace (alpha * (Sum N m / alpha)) with (Sum N m) by (field; lra).
      assert (B : Sum N (fun n => m n * dot D w (x n)) <= Sum N (fun n => m n * dot D w (x n) * dot D w (x n) + m n)).
      { apply Sum_le. intros n Hn. assert (P := m_nonneg n Hn). set (y := dot D w (x n)).
        assert (0 <= m n * (y * y - y + 1)) by (apply Rmult_le_pos; [auto|nra]). lra. }
      rewrite Sum_plus in B. lra.
  Qed.

  (** Complete the square: with z = a + b w the ridge is at least alpha |z|^2 + sigma b^2. *)
  Lemma ridge_square w a b : (forall e, (e < D)%nat -> normal w e = moment e) ->
    alpha * dot D (fun e => a e + b * w e) (fun e => a e + b * w e) + sigma * b² <= ridge a b.
  Proof.
    intros eq. set (z := fun e => a e + b * w e).
    apply Rle_trans with (alpha * dot D z z + ridge (fun e => - b * w e) b).
    { assert (H := ridge_sigma (fun e => - b * w e) b). lra. }
    assert (dz : forall c, dot D z c = dot D a c + b * dot D w c).
    { intros c. unfold dot, z. rewrite <- Sum_scal, <- Sum_plus. apply Sum_ext. intros. ring. }
    assert (dw : forall c, dot D (fun e => - b * w e) c = - b * dot D w c).
    { intros c. unfold dot. rewrite <- Sum_scal. apply Sum_ext. intros. ring. }
    (* z^T (v - (G + alpha I) w) = 0 *)
    assert (cross : Sum N (fun n => m n * dot D z (x n)) - Sum N (fun n => m n * dot D w (x n) * dot D z (x n))
      - alpha * dot D z w = 0).
    { assert (E : dot D z (normal w) = dot D z moment) by (apply Sum_ext; intros e He; now rewrite eq).
      rewrite dot_normal in E. unfold moment in E. rewrite dot_sum in E. lra. }
    assert (Z0 : 0 <= Sum N (fun n => m n * (dot D z (x n))²)).
    { apply Sum_nonneg. intros n Hn. apply Rmult_le_pos; [auto|apply Rle_0_sqr]. }
    unfold ridge.
    rewrite (Sum_ext N (fun n => m n * (dot D a (x n) + b)²) (fun n => (m n * (dot D z (x n))²
      + m n * (dot D (fun e => - b * w e) (x n) + b)²) + 2 * b * (m n * dot D z (x n) - m n * dot D w (x n) * dot D z (x n)))).
    2:{ intros n _. rewrite dw. replace (dot D a (x n)) with (dot D z (x n) - b * dot D w (x n)) by (rewrite dz; ring).
        unfold Rsqr. ring. }
    rewrite !Sum_plus, Sum_scal, Sum_minus.
    replace (dot D a a) with (dot D z z - 2 * b * dot D z w + b² * dot D w w).
    2:{ rewrite dz, (dot_comm D a z), (dot_comm D w z), !dz, (dot_comm D w a). unfold Rsqr. ring. }
    rewrite dw, (dot_comm D w (fun e => - b * w e)), dw. unfold Rsqr in *. nra.
  Qed.

  (** mu (|a|^2 + tau^2 b^2) <= the ridge *)
  Theorem ridge_bound a b : mu * (dot D a a + tau² * b²) <= ridge a b.
  Proof.
    destruct (normal_solvable moment) as [w eq]. assert (sq := ridge_square w a b eq). assert (small := solution_small w eq).
    set (z := fun e => a e + b * w e) in *. assert (w0 := dot_self_nonneg D w). assert (s0 := sigma_nonneg).
    assert (t2 : 0 < tau²) by (apply Rlt_0_sqr; lra).
    assert (k0 : 0 <= kappa2) by lra. set (k := tau² + kappa2). assert (kpos : 0 < k) by (unfold k; lra).
    apply Rle_trans with (2 := sq).
    assert (d0 : 0 < alpha * k + sigma) by nra.
    assert (Emu : mu = alpha * sigma / (alpha * k + sigma)) by reflexivity.
    (* with e = sigma / (alpha k): |z - b w|^2 <= (1 + 1/e) |z|^2 + (1 + e) b^2 |w|^2, where mu (1 + 1/e) = alpha *)
    assert (bound : mu * dot D a a <= alpha * dot D z z + sigma / k * (b² * dot D w w)).
    { assert (H : 0 <= Sum D (fun e => (alpha * k * z e + sigma * (b * w e))²)) by (apply Sum_nonneg; intros; apply Rle_0_sqr).
      rewrite (Sum_ext D _ (fun e => (alpha * k)² * (z e * z e) + (2 * (alpha * k) * sigma * b * (z e * w e)
        + (sigma * b)² * (w e * w e)))) in H by (intros; unfold Rsqr; ring).
      rewrite !Sum_plus, !Sum_scal in H. fold (dot D z z) (dot D z w) (dot D w w) in H.
      assert (Ea : dot D a a = dot D z z - 2 * b * dot D z w + b² * dot D w w).
      { assert (dz : forall c, dot D z c = dot D a c + b * dot D w c).
        { intros c. unfold dot, z. rewrite <- Sum_scal, <- Sum_plus. apply Sum_ext. intros. ring. }
        rewrite dz, (dot_comm D a z), (dot_comm D w z), !dz, (dot_comm D w a). unfold Rsqr. ring. }
      rewrite Emu, Ea. apply Rmult_le_reg_r with (k * (alpha * k + sigma)); [apply Rmult_lt_0_compat; auto|].
      replace (alpha * sigma / (alpha * k + sigma) * (dot D z z - 2 * b * dot D z w + b² * dot D w w) * (k * (alpha * k + sigma)))
        with (alpha * k * sigma * (dot D z z - 2 * b * dot D z w + b² * dot D w w)) by (field; lra).
      replace ((alpha * dot D z z + sigma / k * (b² * dot D w w)) * (k * (alpha * k + sigma)))
        with (alpha * k * (alpha * k + sigma) * dot D z z + sigma * (alpha * k + sigma) * (b² * dot D w w)) by (field; lra).
      unfold Rsqr in *. lra. }
    assert (mt : mu <= sigma / k).
    { rewrite Emu. apply Rmult_le_reg_r with (k * (alpha * k + sigma)); [apply Rmult_lt_0_compat; auto|].
      replace (alpha * sigma / (alpha * k + sigma) * (k * (alpha * k + sigma))) with (alpha * k * sigma) by (field; lra).
      replace (sigma / k * (k * (alpha * k + sigma))) with (alpha * k * sigma + sigma * sigma) by (field; lra). nra. }
    assert (q0 : 0 <= sigma / k) by (apply Rmult_le_pos; [auto|left; now apply Rinv_0_lt_compat]).
    assert (b2 := Rle_0_sqr b).
    assert (A : sigma / k * (b² * dot D w w) <= sigma / k * (b² * kappa2)).
    { apply Rmult_le_compat_l; [auto|]. apply Rmult_le_compat_l; auto. }
    assert (B : mu * (tau² * b²) <= sigma / k * (tau² * b²)) by (apply Rmult_le_compat_r; [nra|auto]).
    assert (S : sigma / k * (b² * kappa2) + sigma / k * (tau² * b²) = sigma * b²) by (unfold k; field; unfold k in kpos; lra).
    lra.
  Qed.

  Lemma mu_le_alpha : mu <= alpha.
  Proof.
    assert (s0 := sigma_nonneg). assert (t2 : 0 < tau²) by (apply Rlt_0_sqr; lra).
    destruct (normal_solvable moment) as [w eq]. assert (small := solution_small w eq). assert (w0 := dot_self_nonneg D w).
    assert (d0 : 0 < alpha * (tau² + kappa2) + sigma) by nra.
    unfold mu. apply Rmult_le_reg_r with (alpha * (tau² + kappa2) + sigma); [auto|]. unfold Rdiv.
    rewrite Rmult_assoc, Rinv_l by lra. nra.
  Qed.
End Ridge.

(** ** All classes *)

Section Held.
  Variables (N C D : nat) (x y : nat -> nat -> R) (s m theta : nat -> R) (alpha tau : R).
  Hypothesis C_pos : (0 < C)%nat.
  Hypothesis y_sum : forall n, (n < N)%nat -> Sum C (y n) = 1.
  Hypothesis m_nonneg : forall n, (n < N)%nat -> 0 <= m n.
  (** m_n = s_n min_i y_ni, or less *)
  Hypothesis m_below : forall n i, (n < N)%nat -> (i < C)%nat -> m n <= s n * y n i.
  Hypothesis theta_zero : forall n, (n < N)%nat -> m n = 0 -> theta n = 0.
  Hypothesis alpha_pos : 0 < alpha.
  Hypothesis tau_pos : 0 < tau.

  (** The rows of A are the weights of the features, b are the intercepts. *)
  Variables (A : nat -> nat -> R) (b : nat -> R).
  Notation u n i := (dot D (A i) (x n) + b i).

  Lemma least_about_mean (v : nat -> R) a : Sum C (fun i => (centred C v i)²) <= Sum C (fun i => (v i - a)²).
  Proof.
    assert (HC : 0 < INR C) by now apply lt_0_INR. set (mean := Sum C v / INR C).
    rewrite (Sum_ext C (fun i => (v i - a)²) (fun i => (centred C v i)² + (2 * (mean - a) * v i + (a² - mean²))))
      by (intros; unfold centred, mean, Rsqr; ring).
    rewrite !Sum_plus, Sum_scal, Sum_const. unfold mean at 1.
    replace (2 * (Sum C v / INR C - a) * Sum C v) with (INR C * (2 * (mean - a) * mean)) by (unfold mean; field; lra).
    assert (0 <= INR C * (mean - a)²) by (apply Rmult_le_pos; [lra|apply Rle_0_sqr]). unfold Rsqr in *. lra.
  Qed.

  (** The curvature on {sum_c b_c = 0}, in |A|^2 + tau^2 |b|^2, is at least mu. *)
  Theorem S13_held : Sum C b = 0 ->
    mu N D x m theta alpha tau * (Sum C (fun c => dot D (A c) (A c)) + tau² * Sum C (fun c => (b c)²))
      <= Sum N (fun n => s n * Sform C (y n) (fun i => u n i) (fun i => u n i)) + alpha * Sum C (fun c => dot D (A c) (A c)).
  Proof.
    intros b_sum. assert (HC : 0 < INR C) by now apply lt_0_INR.
    set (mean := fun e => Sum C (fun c => A c e) / INR C). set (B := fun c e => A c e - mean e).
    set (M := mu N D x m theta alpha tau).
    (* |A|^2 = sum_c |a_c - mean|^2 + C |mean|^2 *)
    assert (split_A : Sum C (fun c => dot D (A c) (A c)) = Sum C (fun c => dot D (B c) (B c)) + INR C * dot D mean mean).
    { unfold dot. rewrite (Sum_swap C D), (Sum_swap C D), <- Sum_scal, <- Sum_plus. apply Sum_ext. intros e He.
      rewrite (Sum_ext C (fun c => B c e * B c e) (fun c => A c e * A c e - (2 * mean e * A c e - mean e * mean e)))
        by (intros; unfold B; ring).
      rewrite !Sum_minus, Sum_scal, Sum_const. replace (Sum C (fun c => A c e)) with (INR C * mean e) by (unfold mean; field; lra).
      ring. }
    (* u_n about its plain mean is (a_i - mean)^T x_n + b_i *)
    assert (cen : forall n i, centred C (fun i => u n i) i = dot D (B i) (x n) + b i).
    { intros n i. unfold centred. rewrite Sum_plus, b_sum.
      replace (dot D (B i) (x n)) with (dot D (A i) (x n) - dot D mean (x n)).
      - replace (Sum C (fun i0 => dot D (A i0) (x n))) with (INR C * dot D mean (x n)); [field; lra|].
        unfold dot. rewrite Sum_swap, <- Sum_scal. apply Sum_ext. intros e _. rewrite Sum_scal_r. unfold mean. field. lra.
      - unfold dot, B. rewrite <- Sum_minus. apply Sum_ext. intros. ring. }
    (* the data's part is at least sum_c sum_n m_n ((a_c - mean)^T x_n + b_c)^2 *)
    assert (data : Sum C (fun c => Sum N (fun n => m n * (dot D (B c) (x n) + b c)²))
      <= Sum N (fun n => s n * Sform C (y n) (fun i => u n i) (fun i => u n i))).
    { rewrite Sum_swap. apply Sum_le. intros n Hn. rewrite Sform_Var by auto.
      set (a := Problem.mean C (y n) (fun i => u n i)).
      apply Rle_trans with (m n * Sum C (fun i => (u n i - a)²)).
      - rewrite Sum_scal. apply Rmult_le_compat_l; [auto|].
        rewrite (Sum_ext C _ (fun i => (centred C (fun i => u n i) i)²)) by (intros; now rewrite cen).
        apply (least_about_mean (fun i => u n i)).
      - unfold Var. fold a. rewrite <- !Sum_scal. apply Sum_le. intros i Hi. rewrite <- Rmult_assoc.
        apply Rmult_le_compat_r; [apply Rle_0_sqr|auto]. }
    (* a ridge regression for every class; what all classes share has the curvature alpha >= mu *)
    assert (each : Sum C (fun c => M * (dot D (B c) (B c) + tau² * (b c)²))
      <= Sum C (fun c => ridge N D x m alpha (B c) (b c))).
    { apply Sum_le. intros c Hc. now apply ridge_bound. }
    unfold ridge in each. rewrite Sum_plus, !Sum_scal, Sum_plus, !Sum_scal in each.
    assert (le : M <= alpha) by (now apply mu_le_alpha).
    assert (m0 := dot_self_nonneg D mean). rewrite split_A.
    assert (M * (INR C * dot D mean mean) <= alpha * (INR C * dot D mean mean)) by (apply Rmult_le_compat_r; [nra|auto]).
    lra.
  Qed.

  (** There beta = sqrt 2 max_n (|x_n|^2 + 1 / tau^2)^(1/2). *)
  Theorem S13_held_ranges n i j : (i < C)%nat -> (j < C)%nat ->
    (u n i - u n j)² <= 2 * (dot D (x n) (x n) + / tau²) * (Sum C (fun c => dot D (A c) (A c)) + tau² * Sum C (fun c => (b c)²)).
  Proof.
    intros Hi Hj. assert (t2 : 0 < tau²) by (apply Rlt_0_sqr; lra). assert (i2 := Rinv_0_lt_compat _ t2).
    assert (x0 := dot_self_nonneg D (x n)).
    set (f := fun c => dot D (A c) (A c) + tau² * (b c)²).
    assert (f0 : forall c, 0 <= f c).
    { intros c. assert (H := dot_self_nonneg D (A c)). assert (H' := Rle_0_sqr (b c)). unfold f. nra. }
    replace (Sum C (fun c => dot D (A c) (A c)) + tau² * Sum C (fun c => (b c)²)) with (Sum C f)
      by (unfold f; rewrite Sum_plus, Sum_scal; reflexivity).
    destruct (Nat.eq_dec i j) as [->|ne].
    { rewrite Rminus_eq_0, Rsqr_0. apply Rmult_le_pos; [lra|]. apply Sum_nonneg. auto. }
    assert (two : f i + f j <= Sum C f).
    { rewrite <- (Sum_pick C i f Hi), <- (Sum_pick C j f Hj), <- Sum_plus. apply Sum_le. intros k Hk. specialize (f0 k).
      destruct (Nat.eqb_spec k i), (Nat.eqb_spec k j); lra || lia. }
    (* (p + r)^2 <= (P + tau^2 r^2) (|x|^2 + 1 / tau^2), p^2 <= P |x|^2 *)
    set (P := dot D (fun e => A i e - A j e) (fun e => A i e - A j e)).
    set (p := dot D (fun e => A i e - A j e) (x n)). set (r := b i - b j).
    assert (E : u n i - u n j = p + r).
    { unfold p, r, dot. rewrite (Sum_ext D (fun e => (A i e - A j e) * x n e) (fun e => A i e * x n e - A j e * x n e))
        by (intros; ring). rewrite Sum_minus. ring. }
    assert (cs : p² <= P * dot D (x n) (x n)) by apply Cauchy_Schwarz.
    assert (P0 : 0 <= P) by apply dot_self_nonneg.
    assert (P2 : P + tau² * r² <= 2 * (f i + f j)).
    { assert (Q : P <= 2 * (dot D (A i) (A i) + dot D (A j) (A j))).
      { unfold P, dot. rewrite <- Sum_plus, <- Sum_scal. apply Sum_le. intros e _.
        assert (0 <= (A i e + A j e)²) by apply Rle_0_sqr. unfold Rsqr in *. lra. }
      assert (Q' : r² <= 2 * ((b i)² + (b j)²)) by (assert (0 <= (b i + b j)²) by apply Rle_0_sqr; unfold r, Rsqr in *; lra).
      unfold f. nra. }
    rewrite E. apply Rle_trans with ((P + tau² * r²) * (dot D (x n) (x n) + / tau²)).
    - set (X2 := dot D (x n) (x n)) in *.
      replace ((P + tau² * r²) * (X2 + / tau²)) with (P * X2 + (P * / tau² + tau² * r² * X2) + r²) by (field; lra).
      assert (am : 2 * (p * r) <= P * / tau² + tau² * r² * X2).
      { assert (g0 : 0 <= P * / tau² + tau² * r² * X2).
        { assert (0 <= r²) by apply Rle_0_sqr. assert (0 <= P * / tau²) by nra. assert (0 <= tau² * r² * X2); [|lra].
          apply Rmult_le_pos; [nra|auto]. }
        apply Rsqr_incr_0_var; [|auto].
        assert (H : (2 * (p * r))² <= 4 * (P * X2) * r²).
        { replace ((2 * (p * r))²) with (4 * p² * r²) by (unfold Rsqr; ring).
          apply Rmult_le_compat_r; [apply Rle_0_sqr|lra]. }
        apply Rle_trans with (1 := H).
        assert (S : 0 <= (P * / tau² - tau² * r² * X2)²) by apply Rle_0_sqr.
        replace (4 * (P * X2) * r²) with (4 * (P * / tau²) * (tau² * r² * X2)) by (field; lra).
        set (g := P * / tau²) in *. set (h := tau² * r² * X2) in *. unfold Rsqr in *. lra. }
      unfold Rsqr in *. lra.
    - assert (g : 0 < dot D (x n) (x n) + / tau²) by lra. nra.
  Qed.
End Held.
