(** S4-S7a: the second derivative, convexity, the kernel of the Hessian, and the bound on the curvature. *)

From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Taylor.
Open Scope R_scope.

Lemma Sform_ext C y y' u v : (forall i, (i < C)%nat -> y i = y' i) -> Sform C y u v = Sform C y' u v.
Proof.
  intros H. apply Sum_ext. intros i Hi. apply Sum_ext. intros j Hj. f_equal. f_equal. unfold Smat.
  rewrite (H i Hi), (H j Hj). reflexivity.
Qed.

Lemma hessian_same p A B U V : same p A B -> hessian p A U V = hessian p B U V.
Proof. intros H. apply Sum_ext. intros n Hn. f_equal. apply Sform_ext. intros. now apply prob_same. Qed.

(** ** S4 *)

(** Along every line the derivative of <gradient, V> is the form of the matrices S(y_n). *)
Theorem S4_second_derivative_along p W U V a :
  is_derive (fun a => inner p (gradient p (move W a U)) V) a (hessian p (move W a U) U V).
Proof.
  apply (is_derive_ext (fun a => Sum (samples p) (fun n => weight p n *
    (mean (classes p) (softmax (classes p) (fun i => logit p W n i + a * logit p U n i)) (logit p V n)
     - Sum (classes p) (fun i => target p n i * logit p V n i))))).
  { intros t. rewrite inner_gradient. apply Sum_ext. intros n Hn. f_equal. f_equal.
    apply mean_ext; [|reflexivity]. intros. symmetry. now apply prob_move. }
  unfold hessian.
  apply (is_derive_Sum (samples p) (fun n a => weight p n *
    (mean (classes p) (softmax (classes p) (fun i => logit p W n i + a * logit p U n i)) (logit p V n)
     - Sum (classes p) (fun i => target p n i * logit p V n i))) a
    (fun n => weight p n * Sform (classes p) (prob p (move W a U) n) (logit p U n) (logit p V n))).
  intros n Hn. apply is_derive_scal.
  rewrite (Sform_ext (classes p) _ (softmax (classes p) (fun i => logit p W n i + a * logit p U n i)))
    by (intros; now apply prob_move).
  replace (Sform (classes p) (softmax (classes p) (fun i => logit p W n i + a * logit p U n i)) (logit p U n)
    (logit p V n)) with (Sform (classes p) (softmax (classes p) (fun i => logit p W n i + a * logit p U n i))
    (logit p U n) (logit p V n) - 0) by ring.
  apply (is_derive_minus
    (fun a => mean (classes p) (softmax (classes p) (fun i => logit p W n i + a * logit p U n i)) (logit p V n))
    (fun _ => Sum (classes p) (fun i => target p n i * logit p V n i))).
  - apply is_derive_mean, classes_pos.
  - apply (@is_derive_const R_AbsRing R_NormedModule).
Qed.

(** D2L(W)[U, V] = sum_n s_n (U x_n)^T S(y_n) (V x_n) *)
Theorem S4_second_derivative p W U V :
  is_derive (fun a => inner p (gradient p (move W a U)) V) 0 (hessian p W U V).
Proof.
  rewrite <- (hessian_same p (move W 0 U) W) by apply same_move_0. apply S4_second_derivative_along.
Qed.

(** D2L(W)[V, V] = sum_n s_n Var_{y_n}(V x_n) *)
Theorem S4_variance p W V :
  hessian p W V V =
  Sum (samples p) (fun n => weight p n * Var (classes p) (prob p W n) (logit p V n)).
Proof. apply Sum_ext. intros n Hn. f_equal. apply Sform_Var. apply prob_distribution. Qed.

Theorem S4_symmetric p W U V : hessian p W U V = hessian p W V U.
Proof. apply Sum_ext. intros. f_equal. apply Sform_sym. Qed.

(** The product of the Hessian with a direction, (Y o (U - mean))^T diag(s) X. *)
Definition hvp p (W U : matrix) : matrix := fun c d =>
  Sum (samples p) (fun n => prob p W n c * (logit p U n c - mean (classes p) (prob p W n) (logit p U n))
    * weight p n * input p n d).

Theorem S4_product p W U V : inner p (hvp p W U) V = hessian p W U V.
Proof.
  unfold hvp. rewrite (inner_outer p (fun n c => prob p W n c *
    (logit p U n c - mean (classes p) (prob p W n) (logit p U n)) * weight p n)).
  apply Sum_ext. intros n Hn. rewrite Sform_sym, Sform_eq, <- Sum_scal. apply Sum_ext. intros. ring.
Qed.

(** The matrix: its block (i, j) is X^T diag(s o (delta_ij y_i - y_i y_j)) X. *)
Definition hessian_block p (W : matrix) (i j : nat) (d e : nat) : R :=
  Sum (samples p) (fun n => weight p n * Smat (prob p W n) i j * input p n d * input p n e).

Theorem S4_matrix p W U V :
  hessian p W U V =
  Sum (classes p) (fun i => Sum (classes p) (fun j =>
    Sum (features p) (fun d => Sum (features p) (fun e => U i d * hessian_block p W i j d e * V j e)))).
Proof.
  unfold hessian, Sform.
  rewrite (Sum_ext (samples p) _ (fun n => Sum (classes p) (fun i => Sum (classes p) (fun j =>
    Sum (features p) (fun d => Sum (features p) (fun e =>
      U i d * (weight p n * Smat (prob p W n) i j * input p n d * input p n e) * V j e)))))).
  - rewrite Sum_swap. apply Sum_ext. intros i Hi. rewrite Sum_swap. apply Sum_ext. intros j Hj.
    rewrite Sum_swap. apply Sum_ext. intros d Hd. rewrite Sum_swap. apply Sum_ext. intros e He.
    unfold hessian_block. rewrite <- Sum_scal, <- Sum_scal_r. reflexivity.
  - intros n Hn. rewrite <- Sum_scal. apply Sum_ext. intros i Hi. rewrite <- Sum_scal. apply Sum_ext. intros j Hj.
    unfold logit.
    transitivity (weight p n * Smat (prob p W n) i j *
      (Sum (features p) (fun d => U i d * input p n d) * Sum (features p) (fun e => V j e * input p n e))); [ring|].
    rewrite Sum_product, <- Sum_scal. apply Sum_ext. intros. rewrite <- Sum_scal. apply Sum_ext. intros. ring.
Qed.

(** The variance by pairs: 2 Var_y(u) = sum_ab y_a y_b (u_a - u_b)^2 (every pair is counted twice). *)
Theorem S4_pairs C y u :
  Sum C y = 1 -> 2 * Var C y u = Sum C (fun a => Sum C (fun b => y a * y b * (u a - u b)²)).
Proof.
  intros H.
  (* the square about u_a: sum_b y_b (u_b - u_a)^2 = Var + (mean - u_a)^2 *)
  rewrite (Sum_ext C (fun a => Sum C (fun b => y a * y b * (u a - u b)²))
    (fun a => Var C y u * y a + y a * (u a - mean C y u)²)).
  - rewrite Sum_plus, Sum_scal, H. fold (Var C y u). ring.
  - intros a Ha. rewrite (Sum_ext C _ (fun b => y a * (y b * (u b - u a)²))) by (intros; unfold Rsqr; ring).
    rewrite Sum_scal, squares_about by assumption. unfold Rsqr. ring.
Qed.

(** ** S5 *)

Theorem S5_nonnegative p W V : 0 <= hessian p W V V.
Proof.
  rewrite S4_variance. apply Sum_nonneg. intros n Hn. apply Rmult_le_pos; [now apply weight_nonneg|].
  apply Var_nonneg. intros i Hi. apply Rlt_le. now apply prob_distribution.
Qed.

(** The loss lies above its tangents. *)
Lemma loss_above_tangent p W U : loss p W + inner p (gradient p W) (minus U W) <= loss p U.
Proof.
  set (V := minus U W).
  assert (H := Taylor_below (fun a => loss p (move W a V)) (fun a => inner p (gradient p (move W a V)) V)
    (fun a => hessian p (move W a V) V V) 0 (S2_gradient_along p W V) (S4_second_derivative_along p W V V)
    (fun a => S5_nonnegative p (move W a V) V)).
  cbv beta in H.
  rewrite (loss_same p (move W 0 V) W), (loss_same p (move W 1 V) U) in H
    by (apply same_move_0 || apply same_move_minus).
  rewrite (inner_same p (gradient p (move W 0 V)) (gradient p W) V V) in H; [lra| |intros ? ? _ _; reflexivity].
  intros c d Hc _. apply gradient_same; [apply same_move_0|assumption].
Qed.

(** The loss is convex: it lies below its chords. *)
Theorem S5_convex p W U t :
  0 <= t <= 1 -> loss p (move W t (minus U W)) <= (1 - t) * loss p W + t * loss p U.
Proof.
  intros Ht. set (M := move W t (minus U W)).
  assert (HW := loss_above_tangent p M W). assert (HU := loss_above_tangent p M U).
  rewrite inner_minus_r in HW, HU.
  assert (E : inner p (gradient p M) M =
    (1 - t) * inner p (gradient p M) W + t * inner p (gradient p M) U).
  { unfold M at 2. rewrite inner_move_r, inner_minus_r. ring. }
  nra.
Qed.

(** ** S6 *)

(** The Hessian's form vanishes exactly on the kernel, which does not mention W. *)
Theorem S6_kernel p W V : hessian p W V V = 0 <-> kernel p V.
Proof.
  rewrite S4_variance. split.
  - intros H n Hn Hs. apply (Var_zero_iff _ (prob p W n)); [apply prob_distribution|].
    assert (E : weight p n * Var (classes p) (prob p W n) (logit p V n) = 0).
    { apply (Sum_eq_0 (samples p) (fun n => weight p n * Var (classes p) (prob p W n) (logit p V n)));
        [|exact H|exact Hn].
      intros m Hm. apply Rmult_le_pos; [now apply weight_nonneg|].
      apply Var_nonneg. intros. apply Rlt_le. now apply prob_distribution. }
    apply Rmult_integral in E. destruct E; [lra|assumption].
  - intros H. apply Sum_zero. intros n Hn. destruct (weight_nonneg p n Hn) as [Hs|Hs]; [|rewrite <- Hs; ring].
    destruct (H n Hn Hs) as [a Ha].
    rewrite (proj2 (Var_zero_iff (classes p) (prob p W n) (logit p V n) (prob_distribution p W n))); [ring|].
    now exists a.
Qed.

Theorem S6_same_kernel_everywhere p W W' V : hessian p W V V = 0 <-> hessian p W' V V = 0.
Proof. rewrite !S6_kernel. reflexivity. Qed.

(** The gradient is orthogonal to the kernel. *)
Theorem S6_gradient_orthogonal p W V : kernel p V -> inner p (gradient p W) V = 0.
Proof.
  intros H. rewrite inner_gradient. apply Sum_zero. intros n Hn.
  destruct (weight_nonneg p n Hn) as [Hs|Hs]; [|rewrite <- Hs; ring].
  destruct (H n Hn Hs) as [a Ha].
  rewrite (mean_ext _ _ (prob p W n) _ (fun _ => a)) by (trivial || exact Ha).
  rewrite mean_const by apply prob_distribution.
  rewrite (Sum_ext (classes p) _ (fun i => target p n i * a)) by (intros; now rewrite Ha).
  rewrite Sum_scal_r, target_sum by assumption. ring.
Qed.

(** The kernel is a linear space. *)
Lemma kernel_move p V a U : kernel p V -> kernel p U -> kernel p (move V a U).
Proof.
  intros HV HU n Hn Hs. destruct (HV n Hn Hs) as [v Hv]. destruct (HU n Hn Hs) as [u Hu].
  exists (v + a * u). intros i Hi. now rewrite logit_move, Hv, Hu.
Qed.

(** The loss is constant along the kernel. *)
Theorem S6_loss_constant p W V a : kernel p V -> loss p (move W a V) = loss p W.
Proof.
  intros HV.
  (* the tangent at either end is flat along V *)
  assert (H1 := loss_above_tangent p W (move W a V)).
  assert (H2 := loss_above_tangent p (move W a V) W).
  rewrite inner_minus_r, inner_move_r, (S6_gradient_orthogonal p _ V HV) in H1.
  rewrite inner_minus_r, inner_move_r, (S6_gradient_orthogonal p _ V HV) in H2. lra.
Qed.

(** The complement: the directions orthogonal to the kernel. *)
Definition complement p (V : matrix) : Prop := forall K, kernel p K -> inner p V K = 0.

Lemma norm2_zero p V : norm2 p V = 0 -> same p V (fun _ _ => 0).
Proof.
  intros H c d Hc Hd.
  assert (E : V c d * V c d = 0); [|nra].
  apply (Sum_eq_0 (features p) (fun d => V c d * V c d)); [intros; nra| |assumption].
  apply (Sum_eq_0 (classes p) (fun c => Sum (features p) (fun d => V c d * V c d))); [|exact H|assumption].
  intros. apply Sum_nonneg. intros. nra.
Qed.

Theorem S6_positive_on_complement p W V :
  complement p V -> ~ same p V (fun _ _ => 0) -> 0 < hessian p W V V.
Proof.
  intros HV H0. destruct (S5_nonnegative p W V) as [|E]; [assumption|exfalso].
  apply H0, norm2_zero, HV, (S6_kernel p W). now symmetry.
Qed.

(** On W + complement the loss is strictly convex: it lies strictly above its tangents, and strictly below its chords. *)
Theorem S6_strictly_above_tangent p W U :
  complement p (minus U W) -> ~ same p U W ->
  loss p W + inner p (gradient p W) (minus U W) < loss p U.
Proof.
  intros Hc Hne. set (V := minus U W) in *.
  assert (HV : ~ same p V (fun _ _ => 0)).
  { intros H. apply Hne. intros c d Hc' Hd. specialize (H c d Hc' Hd). unfold V, minus in H. lra. }
  assert (H := Taylor_strictly_below (fun a => loss p (move W a V)) (fun a => inner p (gradient p (move W a V)) V)
    (fun a => hessian p (move W a V) V V) (S2_gradient_along p W V) (S4_second_derivative_along p W V V)
    (fun a => S6_positive_on_complement p (move W a V) V Hc HV)).
  cbv beta in H.
  rewrite (loss_same p (move W 0 V) W), (loss_same p (move W 1 V) U) in H
    by (apply same_move_0 || apply same_move_minus).
  rewrite (inner_same p (gradient p (move W 0 V)) (gradient p W) V V) in H; [lra| |intros ? ? _ _; reflexivity].
  intros c d Hc' _. apply gradient_same; [apply same_move_0|assumption].
Qed.

Theorem S6_strictly_convex p W U t :
  complement p (minus U W) -> ~ same p U W -> 0 < t < 1 ->
  loss p (move W t (minus U W)) < (1 - t) * loss p W + t * loss p U.
Proof.
  intros Hc Hne Ht. set (V := minus U W) in *. set (M := move W t V).
  (* both ends differ from M by a multiple of V *)
  assert (Ediff : forall K, inner p (minus W M) K = - t * inner p V K /\ inner p (minus U M) K = (1 - t) * inner p V K).
  { intros K. rewrite !inner_minus_l. unfold M, V. rewrite inner_move_l, inner_minus_l. split; ring. }
  assert (HW : loss p M + inner p (gradient p M) (minus W M) < loss p W).
  { apply S6_strictly_above_tangent.
    - intros K HK. rewrite (proj1 (Ediff K)), (Hc K HK). ring.
    - intros H. apply Hne. intros c d Hcc Hd. specialize (H c d Hcc Hd). unfold M, move, V, minus in H. nra. }
  assert (HU : loss p M + inner p (gradient p M) (minus U M) <= loss p U) by apply loss_above_tangent.
  rewrite inner_comm, (proj1 (Ediff _)) in HW. rewrite inner_comm, (proj2 (Ediff _)) in HU. nra.
Qed.

(** Two minimisers whose difference lies in the complement are the same. *)
Theorem S6_unique_minimiser p W U : minimiser p W -> minimiser p U -> complement p (minus U W) -> same p U W.
Proof.
  intros HW HU Hc c d Hcc Hd. destruct (Req_dec (U c d) (W c d)) as [E|E]; [exact E|exfalso].
  (* half-way the loss would be smaller still *)
  assert (H : loss p (move W (1/2) (minus U W)) < (1 - 1/2) * loss p W + 1/2 * loss p U).
  { apply S6_strictly_convex; [exact Hc|intros H; now apply E, H|lra]. }
  specialize (HU W). assert (H' := HW (move W (1/2) (minus U W))). lra.
Qed.

(** Gradient descent does not leave W + complement. *)
Theorem S6_descent_stays p W a : complement p W -> complement p (move W a (gradient p W)).
Proof.
  intros HW K HK. rewrite inner_move_l, HW, S6_gradient_orthogonal by assumption. ring.
Qed.

(** ** S7a *)

(** Some entry of a vector is the largest, and some entry is the smallest. *)
Lemma exists_largest C (u : nat -> R) :
  (0 < C)%nat -> exists k, (k < C)%nat /\ forall i, (i < C)%nat -> u i <= u k.
Proof.
  induction C as [|C IH]; intros H; [lia|]. destruct (Nat.eq_dec C 0) as [->|HC].
  - exists 0%nat. split; [lia|]. intros i Hi. replace i with 0%nat by lia. lra.
  - destruct IH as [k [Hk Hmax]]; [lia|]. destruct (Rle_lt_dec (u C) (u k)) as [Hle|Hlt].
    + exists k. split; [lia|]. intros i Hi. destruct (Nat.eq_dec i C) as [->|]; [assumption|apply Hmax; lia].
    + exists C. split; [lia|]. intros i Hi. destruct (Nat.eq_dec i C) as [->|]; [lra|].
      assert (u i <= u k) by (apply Hmax; lia). lra.
Qed.

Lemma exists_smallest C (u : nat -> R) :
  (0 < C)%nat -> exists k, (k < C)%nat /\ forall i, (i < C)%nat -> u k <= u i.
Proof.
  intros H. destruct (exists_largest C (fun i => - u i) H) as [k [Hk Hmin]]. exists k. split; [assumption|].
  intros i Hi. specialize (Hmin i Hi). lra.
Qed.

(** About the midpoint of its range, every entry is at most half the range away: Var <= range^2 / 4. *)
Lemma Var_le_range C y u lo hi :
  (forall i, (i < C)%nat -> 0 <= y i) -> Sum C y = 1 -> (forall i, (i < C)%nat -> lo <= u i <= hi) ->
  Var C y u <= (hi - lo)² / 4.
Proof.
  intros Hy H Hu. eapply Rle_trans; [apply (Var_le_about C y u ((lo + hi) / 2) H)|].
  replace ((hi - lo)² / 4) with (Sum C (fun i => y i * ((hi - lo)² / 4))) by (rewrite Sum_scal_r, H; ring).
  apply Sum_le. intros i Hi. apply Rmult_le_compat_l; [auto|]. specialize (Hu i Hi). unfold Rsqr. nra.
Qed.

(** (I - 11^T/C) u: the entries about their plain mean. *)
Definition centred C (u : nat -> R) (i : nat) : R := u i - Sum C u / INR C.

(** S(y) <= (I - 11^T / C) / 2, for every vector of probabilities y. *)
Theorem S7a_covariance C y u :
  (0 < C)%nat -> (forall i, (i < C)%nat -> 0 <= y i) -> Sum C y = 1 ->
  0 <= Sform C y u u <= / 2 * Sum C (fun i => (centred C u i)²).
Proof.
  intros HC Hy H. rewrite Sform_Var by assumption. split; [now apply Var_nonneg|].
  destruct (exists_largest C u HC) as [k [Hk Hhi]]. destruct (exists_smallest C u HC) as [l [Hl Hlo]].
  assert (Hvar : Var C y u <= (u k - u l)² / 4) by (apply Var_le_range; auto).
  destruct (Nat.eq_dec k l) as [->|Hkl].
  - (* a constant vector *)
    assert (0 <= Sum C (fun i => (centred C u i)²)) by (apply Sum_nonneg; intros; apply Rle_0_sqr).
    unfold Rsqr in *. nra.
  - (* the largest and the smallest entry alone: a^2 + b^2 >= (a - b)^2 / 2 *)
    assert (Htwo : (centred C u k)² + (centred C u l)² <= Sum C (fun i => (centred C u i)²)).
    { rewrite <- (Sum_pick C k (fun i => (centred C u i)²) Hk), <- (Sum_pick C l (fun i => (centred C u i)²) Hl).
      rewrite <- Sum_plus. apply Sum_le. intros i Hi. assert (0 <= (centred C u i)²) by apply Rle_0_sqr.
      destruct (Nat.eqb_spec i k), (Nat.eqb_spec i l); lra || lia. }
    assert (Hhalf : (u k - u l)² <= 2 * ((centred C u k)² + (centred C u l)²)).
    { unfold centred, Rsqr. assert (0 <= (u k - Sum C u / INR C + (u l - Sum C u / INR C))²) by apply Rle_0_sqr.
      unfold Rsqr in *. lra. }
    lra.
Qed.

(** H(W) <= (I - 11^T / C) / 2 (x) X^T S X *)
Theorem S7a_hessian p W V :
  hessian p W V V <=
  / 2 * Sum (samples p) (fun n => weight p n *
    Sum (classes p) (fun i => (centred (classes p) (logit p V n) i)²)).
Proof.
  rewrite <- Sum_scal. apply Sum_le. intros n Hn.
  assert (H := S7a_covariance (classes p) (prob p W n) (logit p V n) (classes_pos p)
    (fun i Hi => Rlt_le _ _ (proj1 (prob_distribution p W n) i Hi)) (proj2 (prob_distribution p W n))).
  assert (Hs := weight_nonneg p n Hn). nra.
Qed.

(** Lambda is a bound on the curvature when sum_n s_n (v^T x_n)^2 <= 2 Lambda |v|^2 for every v:
    the least such number is sigma_max(diag(sqrt s) X)^2 / 2. *)
Definition curvature_bound p (Lambda : R) : Prop :=
  forall v, Sum (samples p) (fun n => weight p n * (dot (features p) v (input p n))²)
    <= 2 * Lambda * dot (features p) v v.

(** lambda_max(H(W)) <= Lambda everywhere *)
Theorem S7a_curvature p Lambda W V : curvature_bound p Lambda -> hessian p W V V <= Lambda * norm2 p V.
Proof.
  intros HL. eapply Rle_trans; [apply S7a_hessian|].
  (* centring makes no sum of squares larger *)
  apply Rle_trans with (/ 2 * Sum (samples p) (fun n => weight p n * Sum (classes p) (fun i => (logit p V n i)²))).
  { apply Rmult_le_compat_l; [lra|]. apply Sum_le. intros n Hn.
    apply Rmult_le_compat_l; [now apply weight_nonneg|].
    set (u := logit p V n). set (C := classes p). set (m := Sum C u / INR C).
    assert (HC : 0 < INR C) by apply (lt_0_INR _ (classes_pos p)).
    rewrite (Sum_ext C (fun i => (centred C u i)²) (fun i => (u i)² + (m² - 2 * m * u i)))
      by (intros; unfold centred, m, Rsqr; ring).
    rewrite Sum_plus, Sum_minus, Sum_const, Sum_scal.
    replace (INR C * m² - 2 * m * Sum C u) with (- (INR C * m²)); [assert (0 <= m²) by apply Rle_0_sqr; nra|].
    unfold m, Rsqr. field. lra. }
  (* class by class *)
  rewrite (Sum_ext (samples p) _ (fun n => Sum (classes p) (fun i => weight p n * (dot (features p) (V i) (input p n))²)))
    by (intros; now rewrite <- Sum_scal).
  rewrite Sum_swap, <- Sum_scal. unfold norm2, inner. rewrite <- Sum_scal. apply Sum_le. intros i Hi.
  specialize (HL (V i)). unfold dot in HL at 2. lra.
Qed.

(** Such bounds exist: half the sum of s_n |x_n|^2 is one. *)
Definition crude_bound p : R :=
  / 2 * Sum (samples p) (fun n => weight p n * dot (features p) (input p n) (input p n)).

Lemma crude_bound_nonneg p : 0 <= crude_bound p.
Proof.
  apply Rmult_le_pos; [lra|]. apply Sum_nonneg. intros n Hn.
  apply Rmult_le_pos; [now apply weight_nonneg|apply dot_self_nonneg].
Qed.

Lemma curvature_bound_exists p : curvature_bound p (crude_bound p).
Proof.
  intros v. unfold crude_bound. rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l, <- Sum_scal_r by lra.
  apply Sum_le. intros n Hn.
  assert (H := Cauchy_Schwarz (features p) v (input p n)). assert (Hs := weight_nonneg p n Hn). nra.
Qed.

(** sigma_max(diag(sqrt s) X)^2 is the least upper bound of |diag(sqrt s) X v|^2 over |v| <= 1,
    and Lambda = sigma_max^2 / 2. *)
Definition sigma_max_sqr p : R :=
  real (Lub_Rbar (fun r => exists v, dot (features p) v v <= 1 /\
    r = Sum (samples p) (fun n => weight p n * (dot (features p) v (input p n))²))).

Definition Lambda_max p : R := / 2 * sigma_max_sqr p.

Lemma sigma_max_sqr_is_lub p :
  is_lub_Rbar (fun r => exists v, dot (features p) v v <= 1 /\
    r = Sum (samples p) (fun n => weight p n * (dot (features p) v (input p n))²)) (Finite (sigma_max_sqr p)).
Proof.
  unfold sigma_max_sqr.
  match goal with |- is_lub_Rbar ?E _ => assert (H := Lub_Rbar_correct E); destruct (Lub_Rbar E) as [l| |] end.
  - exact H.
  - (* bounded by the crude bound, so not +infinity *)
    destruct H as [_ H]. exfalso. apply (H (Finite (2 * crude_bound p))). intros r [v [Hv ->]]. simpl.
    eapply Rle_trans; [apply curvature_bound_exists|].
    assert (Hc := crude_bound_nonneg p). assert (Hd := dot_self_nonneg (features p) v). nra.
  - (* v = 0 is admitted, so not -infinity *)
    exfalso. destruct H as [H _]. refine (H 0 _). exists (fun _ => 0). split.
    + unfold dot. rewrite Sum_zero; [lra|]. intros. ring.
    + symmetry. apply Sum_zero. intros n Hn. unfold dot. rewrite (Sum_zero (features p)); [unfold Rsqr; ring|].
      intros. ring.
Qed.

Theorem S7a_Lambda p : curvature_bound p (Lambda_max p).
Proof.
  intros v. unfold Lambda_max. rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l by lra.
  destruct (sigma_max_sqr_is_lub p) as [Hup _].
  destruct (dot_self_nonneg (features p) v) as [Hpos|Hzero].
  - (* scale v to length 1 *)
    set (l := sqrt (dot (features p) v v)).
    assert (Hl : 0 < l) by now apply sqrt_lt_R0.
    assert (Hll : l * l = dot (features p) v v) by (apply sqrt_sqrt; lra).
    assert (Hu : Sum (samples p) (fun n => weight p n * (dot (features p) (fun d => / l * v d) (input p n))²)
      <= sigma_max_sqr p).
    { apply Hup. exists (fun d => / l * v d). split; [|reflexivity].
      unfold dot. rewrite (Sum_ext _ _ (fun d => / (l * l) * (v d * v d))) by (intros; field; lra).
      rewrite Sum_scal. fold (dot (features p) v v). rewrite <- Hll. right. apply Rinv_l. nra. }
    rewrite (Sum_ext (samples p) _ (fun n => / (l * l) * (weight p n * (dot (features p) v (input p n))²))) in Hu.
    + rewrite Sum_scal in Hu. rewrite <- Hll. assert (0 < l * l) by nra.
      apply (Rmult_le_compat_l (l * l)) in Hu; [|lra]. rewrite <- Rmult_assoc, Rinv_r, Rmult_1_l in Hu by lra. lra.
    + intros n Hn. unfold dot.
      rewrite (Sum_ext (features p) _ (fun d => / l * (v d * input p n d))) by (intros; ring).
      rewrite Sum_scal. unfold Rsqr. field. lra.
  - rewrite <- Hzero, Rmult_0_r. right. apply Sum_zero. intros n Hn.
    assert (H := Cauchy_Schwarz (features p) v (input p n)). rewrite <- Hzero, Rmult_0_l in H.
    rewrite (Rle_antisym _ _ H (Rle_0_sqr _)). ring.
Qed.

Theorem S7a_Lambda_least p Lambda : 0 <= Lambda -> curvature_bound p Lambda -> Lambda_max p <= Lambda.
Proof.
  intros H0 H. destruct (sigma_max_sqr_is_lub p) as [_ Hleast].
  assert (Hle : Rbar_le (sigma_max_sqr p) (2 * Lambda)).
  { apply Hleast. intros r [v [Hv ->]]. simpl. eapply Rle_trans; [apply H|].
    assert (Hd := dot_self_nonneg (features p) v). nra. }
  simpl in Hle. unfold Lambda_max. lra.
Qed.

(** S6: H(W) as an operator has exactly the kernel as its null space, H(W)[V] = 0. *)
Theorem S6_kernel_operator p W V : same p (hvp p W V) (fun _ _ => 0) <-> kernel p V.
Proof.
  split.
  - intros H. apply (S6_kernel p W). rewrite <- S4_product.
    rewrite (inner_same p _ (fun _ _ => 0) V V H) by (intros ? ? _ _; reflexivity).
    apply Sum_zero. intros. apply Sum_zero. intros. ring.
  - intros ker c d Hc Hd. unfold hvp. apply Sum_zero. intros n Hn.
    destruct (weight_nonneg p n Hn) as [sn|sn]; [|rewrite <- sn; ring].
    destruct (ker n Hn sn) as [a Ha].
    replace (mean (classes p) (prob p W n) (logit p V n)) with a.
    + rewrite Ha by auto. ring.
    + unfold mean. rewrite (Sum_ext _ _ (fun i => prob p W n i * a)) by (intros; now rewrite Ha).
      rewrite Sum_scal_r. destruct (prob_distribution p W n) as [_ ->]. ring.
Qed.
