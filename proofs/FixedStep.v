(** S19: the step W - 2 gradient (X^T S X)^+ exists, lowers the loss, and has a condition number that X does not enter. *)

From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Taylor Curvature Bases Kernel Rates Condition.
Open Scope R_scope.

Section FixedStep.
  Variable p : problem.
  Notation N := (samples p).
  Notation C := (classes p).
  Notation D := (features p).
  Notation X := (input p).
  Notation s := (weight p).

  (** (X^T S X)_de *)
  Definition gram (d e : nat) : R := Sum N (fun n => s n * (X n d * X n e)).

  (** V = - 2 gradient (X^T S X)^+: rows in the row space, and V X^T S X = - 2 gradient. *)
  Definition fixed_step (W V : matrix) : Prop :=
    (forall c, (c < C)%nat -> row_space p (V c)) /\
    forall c d, (c < C)%nat -> (d < D)%nat -> Sum D (fun e => V c e * gram e d) = -2 * gradient p W c d.

  (** (V X^T S X)_cd = sum_n s_n (V x_n)_c x_nd *)
  Lemma times_gram V c d : Sum D (fun e => V c e * gram e d) = Sum N (fun n => s n * logit p V n c * X n d).
  Proof.
    unfold gram. rewrite (Sum_ext D _ (fun e => Sum N (fun n => s n * X n d * (V c e * X n e)))).
    - rewrite Sum_swap. apply Sum_ext. intros n Hn. rewrite Sum_scal. unfold logit. ring.
    - intros e He. rewrite <- Sum_scal. apply Sum_ext. intros. ring.
  Qed.

  (** <gradient, V> = - (1/2) sum_n s_n |V x_n|^2 *)
  Lemma inner_fixed_step W V : fixed_step W V -> inner p (gradient p W) V = - / 2 * gram_form p V.
  Proof.
    intros [_ H].
    assert (E : -2 * inner p (gradient p W) V = gram_form p V); [|lra].
    rewrite gram_form_rows. unfold inner. rewrite <- Sum_scal. apply Sum_ext. intros c Hc.
    rewrite <- Sum_scal, (Sum_ext D _ (fun d => Sum N (fun n => s n * logit p V n c * (V c d * X n d)))).
    - rewrite Sum_swap. apply Sum_ext. intros n Hn. rewrite Sum_scal.
      change (Sum D (fun d => V c d * X n d)) with (logit p V n c).
      change (dot D (V c) (X n)) with (logit p V n c). unfold Rsqr. ring.
    - intros d Hd. rewrite <- Rmult_assoc, <- (H c d Hc Hd), times_gram, <- Sum_scal_r. apply Sum_ext. intros. ring.
  Qed.

  (** Every Hessian lies below M = (1/2) P (x) X^T S X. *)
  Lemma hessian_below_gram W V : hessian p W V V <= / 2 * gram_form p V.
  Proof.
    eapply Rle_trans; [apply S7a_hessian|]. apply Rmult_le_compat_l; [lra|]. apply Sum_le. intros n Hn.
    apply Rmult_le_compat_l; [now apply weight_nonneg|]. set (u := logit p V n).
    assert (HC : 0 < INR C) by apply (lt_0_INR _ (classes_pos p)). set (m := Sum C u / INR C).
    rewrite (Sum_ext C (fun i => (centred C u i)²) (fun i => (u i)² + (m² - 2 * m * u i)))
      by (intros; unfold centred, m, Rsqr; ring).
    rewrite Sum_plus, Sum_minus, Sum_const, Sum_scal.
    replace (INR C * m² - 2 * m * Sum C u) with (- (INR C * m²)); [assert (0 <= m²) by apply Rle_0_sqr; nra|].
    unfold m, Rsqr. field. lra.
  Qed.

  Lemma gram_form_nonneg V : 0 <= gram_form p V.
  Proof.
    apply Sum_nonneg. intros n Hn. apply Rmult_le_pos; [now apply weight_nonneg|].
    apply Sum_nonneg. intros. apply Rle_0_sqr.
  Qed.

  (** The loss falls by a quarter of sum_n s_n |V x_n|^2 at least ... *)
  Theorem S19_falls W V : fixed_step W V -> loss p (move W 1 V) <= loss p W - / 4 * gram_form p V.
  Proof.
    intros HV.
    assert (H := Taylor_above (fun a => loss p (move W a V)) (fun a => inner p (gradient p (move W a V)) V)
      (fun a => hessian p (move W a V) V V) (/ 2 * gram_form p V) (S2_gradient_along p W V)
      (S4_second_derivative_along p W V V) (fun a => hessian_below_gram (move W a V) V)).
    cbv beta in H. rewrite (loss_same p (move W 0 V) W) in H by apply same_move_0.
    rewrite (inner_same p (gradient p (move W 0 V)) (gradient p W) V V) in H; [| |intros ? ? _ _; reflexivity].
    - rewrite (inner_fixed_step W V HV) in H. lra.
    - intros c d Hc _. apply gradient_same; [apply same_move_0|assumption].
  Qed.

  (** ... which is positive unless the gradient is 0. *)
  Theorem S19_falls_strictly W V :
    fixed_step W V -> ~ same p (gradient p W) (fun _ _ => 0) -> loss p (move W 1 V) < loss p W.
  Proof.
    intros HV Hg. assert (H := S19_falls W V HV). destruct (gram_form_nonneg V) as [|E]; [lra|exfalso].
    apply Hg. intros c d Hc Hd. destruct HV as [_ HV]. specialize (HV c d Hc Hd). rewrite times_gram in HV.
    rewrite Sum_zero in HV; [lra|]. intros n Hn.
    assert (E1 : s n * Sum C (fun i => (logit p V n i)²) = 0).
    { apply (Sum_eq_0 N (fun n => s n * Sum C (fun i => (logit p V n i)²))); [|now symmetry|assumption].
      intros m Hm. apply Rmult_le_pos; [now apply weight_nonneg|]. apply Sum_nonneg. intros. apply Rle_0_sqr. }
    apply Rmult_integral in E1. destruct E1 as [->|E1]; [ring|].
    assert (E2 : (logit p V n c)² = 0).
    { apply (Sum_eq_0 C (fun i => (logit p V n i)²)); [|exact E1|exact Hc]. intros. apply Rle_0_sqr. }
    apply Rsqr_0_uniq in E2. rewrite E2. ring.
  Qed.

  (** The step exists. For each class, project the column (y_nc - t_nc) sqrt s_n on the column space of diag(sqrt s) X. *)
  Definition column (v : nat -> R) (n : nat) : R := sqrt (s n) * dot D v (X n).

  Lemma column_linear : linear N (fun f => exists v, row_space p v /\ equal N f (column v)).
  Proof.
    destruct (row_space_linear p) as [Hext [H0 Hlin]]. split; [|split].
    - intros f g Hfg [v [Hv E]]. exists v. split; [exact Hv|]. intros n Hn. rewrite <- (Hfg n Hn). now apply E.
    - exists (fun _ => 0). split; [exact H0|]. intros n Hn. unfold column, dot. rewrite Sum_zero; [ring|]. intros. ring.
    - intros f g a [v [Hv Ev]] [u [Hu Eu]]. exists (fun d => v d + a * u d). split; [now apply Hlin|].
      intros n Hn. rewrite (Ev n Hn), (Eu n Hn). unfold column. rewrite dot_plus_l. ring.
  Qed.

  Lemma column_of_unit d : (d < D)%nat -> exists v, row_space p v /\ equal N (column (delta d)) (column v).
  Proof.
    intros Hd. destruct (rank_exists p) as [k [q [Hq [Hin Hspan]]]]. exists (part D k q (delta d)). split.
    - apply (linear_Sum D (row_space p) k q); [apply row_space_linear|exact Hin].
    - intros n Hn. unfold column. destruct (weight_nonneg p n Hn) as [Hs|<-]; [f_equal|rewrite sqrt_0; ring].
      (* x_n is in the row space, so only the part of e_d in it counts *)
      assert (Hx : row_space p (X n)).
      { exists (fun m => delta m n * / s n). intros e He.
        rewrite (Sum_ext N _ (fun m => (/ s n * (s m * X m e)) * delta m n)) by (intros; ring).
        rewrite (delta_pick N n (fun m => / s n * (s m * X m e)) Hn). field. lra. }
      rewrite (dot_comm D (delta d)), (dot_comm D (part D k q (delta d))).
      rewrite (dot_ext D (X n) (part D k q (X n)) (delta d) (delta d) (Hspan _ Hx)) by (intros ? _; reflexivity).
      unfold part at 1. rewrite (dot_Sum_l D k (fun i e => dot D (X n) (q i) * q i e)).
      rewrite (dot_comm D (X n)). unfold part. rewrite (dot_Sum_l D k (fun i e => dot D (delta d) (q i) * q i e)).
      apply Sum_ext. intros i Hi. rewrite !dot_scal_l, (dot_comm D (q i) (X n)), (dot_comm D (q i) (delta d)). ring.
  Qed.

  Theorem S19_exists W : exists V, fixed_step W V.
  Proof.
    destruct (Gram_Schmidt N 0 (fun _ _ => 0) (fun d => column (delta d)) D) as [k [f [_ [_ [Hf [Hspan HP]]]]]].
    { intros i j Hi. lia. }
    assert (Hcol : forall i, (i < k)%nat -> exists v, row_space p v /\ equal N (f i) (column v)).
    { apply (HP _ column_linear); [intros; lia|]. intros d Hd. now apply column_of_unit. }
    (* the columns f_i = column (v_i), all v_i at once *)
    assert (Hchoose : exists v, forall i, (i < k)%nat -> row_space p (v i) /\ equal N (f i) (column (v i))).
    { clear Hf Hspan HP. induction k as [|k IH]; [exists (fun _ _ => 0); intros; lia|].
      destruct IH as [v Hv]; [intros; apply Hcol; lia|]. destruct (Hcol k) as [u Hu]; [lia|].
      exists (fun i => if Nat.eqb i k then u else v i). intros i Hi. destruct (Nat.eqb_spec i k) as [->|E]; [exact Hu|].
      apply Hv. lia. }
    destruct Hchoose as [v Hv].
    set (b := fun c n => -2 * ((prob p W n c - target p n c) * sqrt (s n))).
    set (V := fun c d => Sum k (fun i => dot N (b c) (f i) * v i d)). exists V. split.
    - intros c Hc. apply (linear_Sum D (row_space p) k v (fun i => dot N (b c) (f i))); [apply row_space_linear|].
      intros i Hi. now apply Hv.
    - intros c d Hc Hd. rewrite times_gram.
      (* both sides are inner products with the column of e_d, which the f_i span *)
      transitivity (dot N (part N k f (b c)) (column (delta d))).
      + unfold dot at 1, part, column. apply Sum_ext. intros n Hn. rewrite (dot_comm D (delta d)), dot_unit by assumption.
        assert (Hlog : sqrt (s n) * logit p V n c =
          Sum k (fun i => dot N (b c) (f i) * f i n)).
        { unfold logit, V. fold (dot D (fun d => Sum k (fun i => dot N (b c) (f i) * v i d)) (X n)).
          rewrite (dot_Sum_l D k (fun i d => dot N (b c) (f i) * v i d)), <- Sum_scal. apply Sum_ext. intros i Hi.
          rewrite dot_scal_l, (proj2 (Hv i Hi) n Hn). unfold column. ring. }
        rewrite <- Hlog, <- (sqrt_sqrt (s n)) at 1 by now apply weight_nonneg. ring.
      + transitivity (dot N (b c) (column (delta d))).
        * rewrite (dot_comm N (part N k f (b c))), (dot_comm N (b c)).
          rewrite (dot_ext N _ _ (part N k f (b c)) (part N k f (b c)) (Hspan d Hd)) by (intros ? _; reflexivity).
          rewrite (dot_ext N _ _ (b c) (b c) (Hspan d Hd)) by (intros ? _; reflexivity).
          unfold part at 1 3. rewrite !(dot_Sum_l N k (fun i e => dot N (column (delta d)) (f i) * f i e)).
          apply Sum_ext. intros i Hi. rewrite !dot_scal_l, (dot_comm N (f i) (part N k f (b c))), dot_part by assumption.
          now rewrite (dot_comm N (b c)).
        * unfold gradient, b, column. unfold dot at 1. rewrite <- Sum_scal. apply Sum_ext. intros n Hn.
          rewrite (dot_comm D (delta d)), dot_unit by assumption.
          rewrite <- (sqrt_sqrt (s n)) at 3 by now apply weight_nonneg. ring.
  Qed.

  (** What governs the step: the eigenvalues of M^+ H on the complement lie between 2 min_n lambda_2(S(y_n)) and 1. *)
  Theorem S19_condition W V low :
    (forall n, (n < N)%nat -> 0 < s n -> lambda2_bound C (prob p W n) low) -> complement p V ->
    2 * low * (/ 2 * gram_form p V) <= hessian p W V V <= / 2 * gram_form p V.
  Proof.
    intros Hlow HV. split; [|apply hessian_below_gram]. assert (H := S7c_gram p W V low Hlow HV). lra.
  Qed.
End FixedStep.
