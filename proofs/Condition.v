(** S7c and S7d: lower bounds on the curvature, condition numbers, and the smaller matrix of two classes. *)

From Coq Require Import Reals Lra Lia.
From Softmax Require Import Sums Problem Softmax Gradient Curvature Bases Kernel Rates FixedHessian.
Open Scope R_scope.

(** low <= lambda_2(S(y)), the least eigenvalue on the vectors u with 1^T u = 0. *)
Definition lambda2_bound C (y : nat -> R) (low : R) : Prop :=
  forall u, Sum C u = 0 -> low * dot C u u <= Sform C y u u.

(** sig2 <= sigma_min^+(diag(sqrt s) X)^2, the least value of |diag(sqrt s) X v|^2 / |v|^2 on the row space. *)
Definition sigma_min_bound p (sig2 : R) : Prop :=
  forall v, row_space p v ->
    sig2 * dot (features p) v v <= Sum (samples p) (fun n => weight p n * (dot (features p) v (input p n))²).

(** S7b: lambda_2(S(y)) >= min_i y_i, and S(y) 1 = 0. *)
Theorem S7b_lambda2 C y low :
  Sum C y = 1 -> (forall i, (i < C)%nat -> low <= y i) -> 0 <= low -> lambda2_bound C y low.
Proof. intros H1 Hlow H0 u Hu. now apply S7b_covariance. Qed.

Theorem S7b_ones C y i : Sum C y = 1 -> (i < C)%nat -> Sum C (fun j => Smat y i j * 1) = 0.
Proof. intros H Hi. rewrite (Smat_row C y (fun _ => 1) i Hi), mean_const by assumption. ring. Qed.

(** The form of X^T S X, row by row of V: sum_n s_n |V x_n|^2. *)
Definition gram_form p (V : matrix) : R :=
  Sum (samples p) (fun n => weight p n * Sum (classes p) (fun i => (logit p V n i)²)).

Lemma gram_form_rows p V :
  gram_form p V = Sum (classes p) (fun i => Sum (samples p) (fun n => weight p n * (dot (features p) (V i) (input p n))²)).
Proof.
  unfold gram_form. rewrite (Sum_ext (samples p) _ (fun n => Sum (classes p) (fun i =>
    weight p n * (dot (features p) (V i) (input p n))²))) by (intros; now rewrite <- Sum_scal).
  apply Sum_swap.
Qed.

(** On the complement H(W) >= min_n lambda_2(S(y_n)) P (x) X^T S X ... *)
Theorem S7c_gram p W V low :
  (forall n, (n < samples p)%nat -> 0 < weight p n -> lambda2_bound (classes p) (prob p W n) low) ->
  complement p V -> low * gram_form p V <= hessian p W V V.
Proof.
  intros Hlow HV. unfold gram_form. rewrite <- Sum_scal. apply Sum_le. intros n Hn.
  destruct (weight_nonneg p n Hn) as [Hs|Hs]; [|rewrite <- Hs; lra].
  assert (H := Hlow n Hn Hs (logit p V n) (complement_logits p V n HV)). unfold dot in H.
  change (fun i => logit p V n i * logit p V n i) with (fun i => (logit p V n i)²) in H. nra.
Qed.

(** ... >= min_n lambda_2(S(y_n)) sigma_min^2. *)
Theorem S7c_lower p W V low sig2 :
  (forall n, (n < samples p)%nat -> 0 < weight p n -> lambda2_bound (classes p) (prob p W n) low) -> 0 <= low ->
  sigma_min_bound p sig2 -> complement p V -> low * sig2 * norm2 p V <= hessian p W V V.
Proof.
  intros Hlow H0 Hsig HV. eapply Rle_trans; [|apply (S7c_gram p W V low Hlow HV)].
  rewrite Rmult_assoc. apply Rmult_le_compat_l; [assumption|]. rewrite gram_form_rows.
  unfold norm2, inner. rewrite <- Sum_scal. apply Sum_le. intros i Hi.
  apply (Hsig (V i)). now apply S6_complement.
Qed.

(** So S18's number sigma_min^2 may be taken from the row space. *)
Lemma sigma_min_gram_lower p sig2 : sigma_min_bound p sig2 -> gram_lower p sig2.
Proof.
  intros Hsig V HV. change (sig2 * norm2 p V <= gram_form p V). rewrite gram_form_rows.
  unfold norm2, inner. rewrite <- Sum_scal. apply Sum_le. intros i Hi. apply (Hsig (V i)). now apply S6_complement.
Qed.

(** S19: on the complement the curvature relative to M = (1/2) P (x) X^T S X lies between 2 min_n lambda_2(S(y_n)) and 1. *)
Theorem S19_condition_lambda2 p W V low :
  (forall n, (n < samples p)%nat -> 0 < weight p n -> lambda2_bound (classes p) (prob p W n) low) -> complement p V ->
  2 * low * (/ 2 * gram_form p V) <= hessian p W V V <= / 2 * gram_form p V.
Proof.
  intros Hlow HV. split; [assert (H := S7c_gram p W V low Hlow HV); lra|].
  assert (H := hessian_le_spread p W V). rewrite spread_squares in H. exact H.
Qed.

(** An eigenvalue of H(W) on the complement of the kernel. *)
Definition eigenvalue p W (l : R) : Prop :=
  exists V, complement p V /\ ~ same p V (fun _ _ => 0) /\ same p (hvp p W V) (fun c d => l * V c d).

Lemma eigenvalue_form p W V l : same p (hvp p W V) (fun c d => l * V c d) -> hessian p W V V = l * norm2 p V.
Proof.
  intros H. rewrite <- S4_product, (inner_same p _ (fun c d => l * V c d) V V H) by (intros ? ? _ _; reflexivity).
  apply inner_scale_l.
Qed.

Lemma norm2_pos p V : ~ same p V (fun _ _ => 0) -> 0 < norm2 p V.
Proof. intros H. destruct (norm2_nonneg p V) as [|E]; [assumption|]. exfalso. now apply H, norm2_zero. Qed.

(** cond(H on the complement) <= cond(diag(sqrt s) X)^2 / (2 min_n lambda_2(S(y_n))) *)
Theorem S7c_condition p W low sig2 l l' :
  (forall n, (n < samples p)%nat -> 0 < weight p n -> lambda2_bound (classes p) (prob p W n) low) -> 0 < low ->
  sigma_min_bound p sig2 -> 0 < sig2 -> eigenvalue p W l -> eigenvalue p W l' ->
  low * sig2 <= l <= Lambda_max p /\ l' / l <= sigma_max_sqr p / sig2 / (2 * low).
Proof.
  intros Hlow H0 Hsig Hs0 He He'.
  assert (Hbetween : forall l, eigenvalue p W l -> low * sig2 <= l <= Lambda_max p).
  { clear l l' He He'. intros l [V [HV [Hne E]]]. assert (Hn := norm2_pos p V Hne). apply eigenvalue_form in E.
    assert (H1 := S7c_lower p W V low sig2 Hlow (Rlt_le _ _ H0) Hsig HV).
    assert (H2 := S7a_curvature p (Lambda_max p) W V (S7a_Lambda p)). rewrite E in H1, H2.
    split; apply Rmult_le_reg_r with (norm2 p V); lra. }
  destruct (Hbetween l He) as [H1 H2]. destruct (Hbetween l' He') as [H1' H2']. split; [lra|].
  assert (0 < low * sig2) by (apply Rmult_lt_0_compat; assumption).
  replace (sigma_max_sqr p / sig2 / (2 * low)) with (Lambda_max p / (low * sig2)) by (unfold Lambda_max; field; lra).
  apply Rle_trans with (Lambda_max p / l); unfold Rdiv.
  - apply Rmult_le_compat_r; [apply Rlt_le, Rinv_0_lt_compat|]; lra.
  - apply Rmult_le_compat_l; [lra|]. apply Rinv_le_contravar; lra.
Qed.

(** ** Two classes *)

(** S(y) = y_0 y_1 (e_0 - e_1)(e_0 - e_1)^T *)
Theorem S7d_covariance y u v : Sum 2 y = 1 -> Sform 2 y u v = y 0%nat * y 1%nat * (u 0%nat - u 1%nat) * (v 0%nat - v 1%nat).
Proof.
  simpl. intros H. rewrite Sform_means. unfold mean. simpl.
  replace (y 1%nat) with (1 - y 0%nat) by lra. ring.
Qed.

(** Its eigenvalues are 0, for 1, and 2 y_0 y_1, for the vectors with 1^T u = 0. *)
Theorem S7d_eigenvectors y u i :
  Sum 2 y = 1 -> Sum 2 u = 0 -> (i < 2)%nat -> Sum 2 (fun j => Smat y i j * u j) = 2 * y 0%nat * y 1%nat * u i.
Proof.
  simpl. intros Hy Hu Hi. assert (Ey : y 1%nat = 1 - y 0%nat) by lra. assert (Eu : u 1%nat = - u 0%nat) by lra.
  unfold Smat. destruct i as [|[|i]]; [| |lia]; simpl; rewrite Ey, Eu; ring.
Qed.

Lemma S7d_lambda2 y low : Sum 2 y = 1 -> low <= y 0%nat * y 1%nat -> lambda2_bound 2 y (2 * low).
Proof.
  intros Hy Hlow u Hu. rewrite S7d_covariance by assumption. unfold dot. simpl in *.
  assert (E : u 1%nat = - u 0%nat) by lra. rewrite E. assert (0 <= u 0%nat * u 0%nat) by nra. nra.
Qed.

Section TwoClasses.
  Variable p : problem.
  Hypothesis two : classes p = 2%nat.
  Notation N := (samples p).
  Notation D := (features p).
  Notation X := (input p).
  Notation s := (weight p).
  Variable W : matrix.
  Notation y := (prob p W).

  (** v -> 2 sum_n s_n y_n0 y_n1 x_n x_n^T v *)
  Definition small_matrix (v : nat -> R) (d : nat) : R :=
    Sum N (fun n => 2 * y n 0%nat * y n 1%nat * dot D v (X n) * (s n * X n d)).

  (** q (x) v with q = (e_0 - e_1) / sqrt 2 *)
  Definition opposite (v : nat -> R) : matrix := fun c d => (if Nat.eqb c 0 then 1 else -1) * (/ sqrt 2 * v d).

  Lemma half : / sqrt 2 * / sqrt 2 = / 2.
  Proof. rewrite <- Rinv_mult, sqrt_sqrt by lra. reflexivity. Qed.

  (** H(W) acts on q (x) v as the small matrix does on v. *)
  Theorem S7d_Hessian v : same p (hvp p W (opposite v)) (opposite (small_matrix v)).
  Proof.
    intros c d Hc Hd. rewrite two in Hc. unfold hvp, opposite at 3.
    unfold small_matrix. rewrite <- Sum_scal, <- Sum_scal. apply Sum_ext. intros n Hn.
    assert (Hlog : forall i, logit p (opposite v) n i = (if Nat.eqb i 0 then 1 else -1) * (/ sqrt 2 * dot D v (X n))).
    { intros i. unfold logit, opposite, dot. rewrite <- !Sum_scal. apply Sum_ext. intros. ring. }
    destruct (prob_distribution p W n) as [_ Hy]. rewrite two in Hy. simpl in Hy.
    assert (E1 : y n 1%nat = 1 - y n 0%nat) by lra.
    unfold mean. rewrite two. simpl. rewrite !Hlog. simpl.
    destruct c as [|[|c]]; [| |lia]; simpl; rewrite E1; ring.
  Qed.

  (** The complement consists of the q (x) v with v in the row space, and v -> q (x) v keeps inner products. *)
  Theorem S7d_complement V : complement p V <-> exists v, row_space p v /\ same p V (opposite v).
  Proof.
    assert (Hs : 0 < sqrt 2) by (apply sqrt_lt_R0; lra).
    destruct (row_space_linear p) as [Hext [H0 Hlin]]. rewrite S6_complement. unfold centred_classes. rewrite two. split.
    - intros [Hsum Hrow]. exists (fun d => 0 + sqrt 2 * V 0%nat d). split.
      + apply Hlin; [exact H0|]. apply Hrow. lia.
      + intros c d Hc Hd. rewrite two in Hc. specialize (Hsum d Hd). simpl in Hsum. unfold opposite.
        destruct c as [|[|c]]; [| |lia]; simpl; field_simplify; lra.
    - intros [v [Hv E]]. split.
      + intros d Hd. simpl. rewrite (E 0%nat d), (E 1%nat d) by (rewrite ?two; lia). unfold opposite. simpl. ring.
      + intros c Hc. apply (Hext (fun d => 0 + (if Nat.eqb c 0 then 1 else -1) * / sqrt 2 * v d)).
        * intros d Hd. rewrite (E c d) by (rewrite ?two; assumption). unfold opposite. ring.
        * now apply Hlin.
  Qed.

  Theorem S7d_isometry u v : inner p (opposite u) (opposite v) = dot D u v.
  Proof.
    unfold inner. rewrite two. unfold opposite. simpl.
    rewrite (Sum_ext D (fun d => 1 * (/ sqrt 2 * u d) * (1 * (/ sqrt 2 * v d))) (fun d => / 2 * (u d * v d)))
      by (intros; rewrite <- half; ring).
    rewrite (Sum_ext D (fun d => -1 * (/ sqrt 2 * u d) * (-1 * (/ sqrt 2 * v d))) (fun d => / 2 * (u d * v d)))
      by (intros; rewrite <- half; ring).
    rewrite !Sum_scal. unfold dot. lra.
  Qed.

  Lemma small_matrix_in_row_space v : row_space p (small_matrix v).
  Proof. exists (fun n => 2 * y n 0%nat * y n 1%nat * dot D v (X n)). intros d Hd. reflexivity. Qed.

  Lemma opposite_same u v : equal D u v -> same p (opposite u) (opposite v).
  Proof. intros H c d _ Hd. unfold opposite. now rewrite (H d Hd). Qed.

  Lemma opposite_injective u v : same p (opposite u) (opposite v) -> equal D u v.
  Proof.
    intros H d Hd. assert (E := H 0%nat d (classes_pos p) Hd). unfold opposite in E. simpl in E.
    assert (Hs : 0 < sqrt 2) by (apply sqrt_lt_R0; lra). apply (Rmult_eq_reg_l (/ sqrt 2)); [lra|].
    apply Rinv_neq_0_compat. lra.
  Qed.

  (** H on the complement has exactly the non-zero eigenvalues of the small matrix. *)
  Theorem S7d_eigenvalues l :
    l <> 0 ->
    (eigenvalue p W l <-> exists v, ~ equal D v (fun _ => 0) /\ equal D (small_matrix v) (fun d => l * v d)).
  Proof.
    intros Hl. destruct (row_space_linear p) as [Hext [H0 Hlin]].
    assert (Hmoves : forall V v, same p V (opposite v) -> same p (hvp p W V) (opposite (small_matrix v))).
    { intros V v E c d Hc Hd. rewrite <- (S7d_Hessian v c d Hc Hd). apply Sum_ext. intros n Hn.
      rewrite (logit_same p V (opposite v) n c E Hc). f_equal. f_equal. f_equal. f_equal.
      apply mean_ext; [reflexivity|]. intros. now apply logit_same. }
    split.
    - intros [V [HV [Hne E]]]. apply S7d_complement in HV. destruct HV as [v [Hv Hsame]]. exists v. split.
      + intros Hz. apply Hne. intros c d Hc Hd. rewrite (Hsame c d Hc Hd). unfold opposite. rewrite (Hz d Hd). ring.
      + apply opposite_injective. intros c d Hc Hd. rewrite <- (Hmoves V v Hsame c d Hc Hd), (E c d Hc Hd), (Hsame c d Hc Hd).
        unfold opposite. ring.
    - intros [v [Hne E]]. exists (opposite v). split; [|split].
      + apply S7d_complement. exists v. split; [|intros ? ? _ _; reflexivity].
        apply (Hext (fun d => 0 + / l * small_matrix v d)).
        * intros d Hd. rewrite (E d Hd). field. assumption.
        * apply Hlin; [exact H0|apply small_matrix_in_row_space].
      + intros Hz. apply Hne, opposite_injective. intros c d Hc Hd. rewrite (Hz c d Hc Hd). unfold opposite. ring.
      + intros c d Hc Hd. rewrite (Hmoves _ v (fun _ _ _ _ => eq_refl) c d Hc Hd).
        rewrite (opposite_same _ _ E c d Hc Hd). unfold opposite. ring.
  Qed.

  (** cond(H on the complement) <= cond(diag(sqrt s) X)^2 / (4 min_n y_n0 y_n1) *)
  Theorem S7d_condition low sig2 l l' :
    (forall n, (n < N)%nat -> 0 < s n -> low <= y n 0%nat * y n 1%nat) -> 0 < low ->
    sigma_min_bound p sig2 -> 0 < sig2 -> eigenvalue p W l -> eigenvalue p W l' ->
    l' / l <= sigma_max_sqr p / sig2 / (4 * low).
  Proof.
    intros Hlow H0 Hsig Hs0 He He'.
    replace (4 * low) with (2 * (2 * low)) by ring.
    apply (S7c_condition p W (2 * low) sig2 l l'); auto; [|lra].
    intros n Hn Hs. rewrite two. apply S7d_lambda2; [|now apply Hlow].
    destruct (prob_distribution p W n) as [_ H]. now rewrite two in H.
  Qed.
End TwoClasses.
