(** * S19: the fixed-Hessian step (docs/theory.md, S19)

    The step V solves V X^T S X = - 2 grad L(W), as V = - 2 grad L(W) (X^T S X)^+ does. There is a solution; every solution
    lowers the loss, unless the gradient is 0; and the curvature relative to the fixed matrix lies between
    2 min_n,i y_ni and 1. *)

From Coq Require Import Reals Lra Lia List.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem Softmax Gradient Taylor Curvature Descent Rates Minimum.
Import ListNotations.
Open Scope R_scope.

Section FixedHessian.
  Variable p : problem.
  Notation N := (samples p).
  Notation C := (classes p).
  Notation D := (features p).
  Notation X := (input p).
  Notation s := (weight p).

  (** V X^T S X *)
  Definition times_gram (V : matrix) : matrix := fun c d => Sum N (fun n => logit p V n c * s n * X n d).

  (** <V X^T S X, U> = sum_n s_n (V x_n)^T (U x_n) *)
  Lemma inner_times_gram V U :
    inner p (times_gram V) U = Sum N (fun n => s n * Sum C (fun i => logit p V n i * logit p U n i)).
  Proof.
    unfold times_gram. rewrite (inner_outer p (fun n c => logit p V n c * s n)). apply Sum_ext. intros n Hn.
    rewrite <- Sum_scal. apply Sum_ext. intros. ring.
  Qed.

  (** sum_n s_n |V x_n|^2 *)
  Definition spread (V : matrix) : R := inner p (times_gram V) V.

  Lemma spread_squares V : spread V = Sum N (fun n => s n * Sum C (fun i => (logit p V n i)²)).
  Proof. unfold spread. rewrite inner_times_gram. reflexivity. Qed.

  Lemma spread_nonneg V : 0 <= spread V.
  Proof.
    rewrite spread_squares. apply Sum_nonneg. intros n Hn. apply Rmult_le_pos; [now apply weight_nonneg|].
    apply Sum_nonneg. intros. apply Rle_0_sqr.
  Qed.

  Lemma centred_le D' u : (0 < D')%nat -> Sum D' (fun i => (centred D' u i)²) <= Sum D' (fun i => (u i)²).
  Proof.
    intros H. assert (HC : 0 < INR D') by now apply lt_0_INR. set (m := Sum D' u / INR D').
    rewrite (Sum_ext D' (fun i => (centred D' u i)²) (fun i => (u i)² + (m² - 2 * m * u i)))
      by (intros; unfold centred, m, Rsqr; ring).
    rewrite Sum_plus, Sum_minus, Sum_const, Sum_scal.
    replace (INR D' * m² - 2 * m * Sum D' u) with (- (INR D' * m²)); [assert (0 <= m²) by apply Rle_0_sqr; nra|].
    unfold m, Rsqr. field. lra.
  Qed.

  (** The majoriser: H(W) <= (1/2) X^T S X on every class. *)
  Lemma hessian_le_spread W V : hessian p W V V <= / 2 * spread V.
  Proof.
    apply Rle_trans with (1 := S7a_hessian p W V). rewrite spread_squares. apply Rmult_le_compat_l; [lra|].
    apply Sum_le. intros n Hn. apply Rmult_le_compat_l; [now apply weight_nonneg|]. apply centred_le, classes_pos.
  Qed.

  (** L(W + V) <= L(W) + <grad L(W), V> + (1/4) sum_n s_n |V x_n|^2 *)
  Theorem S19_majorises W V : loss p (move W 1 V) <= loss p W + inner p (gradient p W) V + / 4 * spread V.
  Proof.
    assert (H := Taylor_above (fun a => loss p (move W a V)) (fun a => inner p (gradient p (move W a V)) V)
      (fun a => hessian p (move W a V) V V) (/ 2 * spread V) (S2_gradient_along p W V) (S4_second_derivative_along p W V V)
      (fun a => hessian_le_spread (move W a V) V)). cbv beta in H.
    rewrite (loss_same p (move W 0 V) W) in H by apply same_move_0.
    rewrite (inner_same p (gradient p (move W 0 V)) (gradient p W) V V) in H;
      [lra| |intros c d _ _; reflexivity].
    intros c d Hc _. apply gradient_same; [apply same_move_0|auto].
  Qed.

  (** V solves the step's equation. *)
  Definition solves (W V : matrix) : Prop := same p (times_gram V) (fun c d => - 2 * gradient p W c d).

  Lemma solves_inner W V U : solves W V -> inner p (times_gram V) U = - 2 * inner p (gradient p W) U.
  Proof.
    intros H. rewrite <- inner_scale_l. apply inner_same; auto. intros c d _ _. reflexivity.
  Qed.

  (** The loss falls by (1/4) sum_n s_n |V x_n|^2 or more ... *)
  Theorem S19_monotone W V : solves W V -> loss p (move W 1 V) <= loss p W - / 4 * spread V.
  Proof.
    intros H. assert (M := S19_majorises W V). assert (E := solves_inner W V V H). fold (spread V) in E. lra.
  Qed.

  (** ... which is positive unless the gradient is 0. *)
  Theorem S19_strictly W V : solves W V -> loss p (move W 1 V) < loss p W \/ minimiser p W.
  Proof.
    intros H. assert (M := S19_monotone W V H). destruct (spread_nonneg V) as [pos|zero]; [left; lra|right].
    apply stationary_iff_minimiser. symmetry in zero. rewrite spread_squares in zero.
    (* every s_n (V x_n)_i is 0, so V X^T S X is 0 *)
    assert (z : forall n i, (n < N)%nat -> (i < C)%nat -> logit p V n i * s n = 0).
    { intros n i Hn Hi.
      assert (E : s n * Sum C (fun i => (logit p V n i)²) = 0).
      { apply (Sum_eq_0 N (fun n => s n * Sum C (fun i => (logit p V n i)²))); auto. intros k Hk.
        apply Rmult_le_pos; [now apply weight_nonneg|]. apply Sum_nonneg. intros. apply Rle_0_sqr. }
      apply Rmult_integral in E. destruct E as [->|E]; [ring|].
      apply (Sum_eq_0 C (fun i => (logit p V n i)²)) with (i := i) in E; auto; [|intros; apply Rle_0_sqr].
      apply Rsqr_0_uniq in E. rewrite E. ring. }
    assert (g0 : norm2 p (gradient p W) = - / 2 * inner p (times_gram V) (gradient p W)).
    { rewrite (solves_inner W V _ H). unfold norm2. field. }
    rewrite g0, inner_times_gram. rewrite Sum_zero; [ring|]. intros n Hn. rewrite <- Sum_scal. apply Sum_zero.
    intros i Hi. replace (s n * (logit p V n i * logit p (gradient p W) n i))
      with (logit p V n i * s n * logit p (gradient p W) n i) by ring. rewrite z by auto. ring.
  Qed.

  (** There is a solution: the gradient is a combination of the matrices e_c e_d^T X^T S X. *)
  Theorem S19_solvable W : exists V, solves W V.
  Proof.
    set (units := list_prod (seq 0 C) (seq 0 D)).
    set (As := map (fun cd => times_gram (unit (fst cd) (snd cd))) units).
    set (g := fun c d => - 2 * gradient p W c d).
    assert (sym : forall U V, inner p (times_gram U) V = inner p (times_gram V) U).
    { intros. rewrite !inner_times_gram. apply Sum_ext. intros. f_equal. apply Sum_ext. intros. ring. }
    destruct (decomposition p As g) as [K [HK inU]].
    (* K X^T S X = 0, so the gradient is orthogonal to K, and K = 0 *)
    assert (gram0 : same p (times_gram K) (fun _ _ => 0)).
    { intros c d Hc Hd. rewrite <- (inner_unit p (times_gram K) c d Hc Hd), <- sym. apply HK.
      apply in_map_iff. exists (c, d). split; [reflexivity|]. apply in_prod; apply in_seq; lia. }
    assert (spread0 : spread K = 0).
    { unfold spread. rewrite (inner_same p _ (fun _ _ => 0) K K gram0) by (intros c d _ _; reflexivity).
      apply Sum_zero. intros. apply Sum_zero. intros. ring. }
    assert (gK : inner p g K = 0).
    { unfold g. rewrite inner_scale_l, S6_gradient_orthogonal; [ring|]. intros n Hn sn. exists 0. intros i Hi.
      rewrite spread_squares in spread0.
      apply (Sum_eq_0 N (fun n => s n * Sum C (fun i => (logit p K n i)²))) with (i := n) in spread0; auto.
      - apply Rmult_integral in spread0. destruct spread0 as [E|E]; [lra|].
        apply (Sum_eq_0 C (fun i => (logit p K n i)²)) with (i := i) in E; auto; [|intros; apply Rle_0_sqr].
        now apply Rsqr_0_uniq.
      - intros k Hk. apply Rmult_le_pos; [now apply weight_nonneg|]. apply Sum_nonneg. intros. apply Rle_0_sqr. }
    assert (K0 : same p K (fun _ _ => 0)).
    { apply norm2_zero. unfold norm2. assert (H := span_orthogonal p As (minus g K) K inU HK).
      rewrite inner_minus_l in H. lra. }
    assert (ing : span p As g) by (apply span_same with (2 := inU); intros c d Hc Hd; unfold minus; rewrite K0 by auto; ring).
    (* a combination of the e_c e_d^T X^T S X is some V X^T S X *)
    assert (comb : forall l U, span p (map (fun cd => times_gram (unit (fst cd) (snd cd))) l) U ->
      exists V, same p (times_gram V) U).
    { clear. induction l as [|cd l IH]; simpl; intros U.
      - intros z. exists (fun _ _ => 0). intros c d Hc Hd. rewrite z by auto. apply Sum_zero. intros n Hn.
        unfold logit. rewrite Sum_zero; [ring|]. intros. ring.
      - intros [a H]. destruct (IH _ H) as [V HV]. exists (move V (- a) (unit (fst cd) (snd cd))). intros c d Hc Hd.
        assert (E := HV c d Hc Hd). unfold move in E.
        transitivity (times_gram V c d + - a * times_gram (unit (fst cd) (snd cd)) c d); [|lra].
        unfold times_gram. rewrite <- Sum_scal, <- Sum_plus. apply Sum_ext. intros n Hn. rewrite logit_move. ring. }
    destruct (comb units g ing) as [V HV]. now exists V.
  Qed.

  (** On the complement the curvature relative to M = (1/2) X^T S X lies between 2 min_n,i y_ni and 1. *)
  Theorem S19_condition W V low :
    (forall n i, (n < N)%nat -> 0 < s n -> (i < C)%nat -> low <= prob p W n i) -> 0 <= low -> complement p V ->
    2 * low * (/ 2 * spread V) <= hessian p W V V <= 1 * (/ 2 * spread V).
  Proof.
    intros below low0 HV. split; [|assert (H := hessian_le_spread W V); lra].
    replace (2 * low * (/ 2 * spread V)) with (low * spread V) by field.
    rewrite spread_squares, <- Sum_scal. apply Sum_le. intros n Hn. destruct (weight_nonneg p n Hn) as [sn|<-]; [|lra].
    destruct (prob_distribution p W n) as [_ one].
    assert (H := S7b_covariance C (prob p W n) (logit p V n) low one (fun i Hi => below n i Hn sn Hi) low0
      (complement_logits p V n HV)). nra.
  Qed.
End FixedHessian.

(** ** The step with a generalised inverse Q of G = X^T S X, G Q G = G: the Moore-Penrose inverse is one *)

Definition gram_of p (d e : nat) : R := Sum (samples p) (fun n => weight p n * input p n d * input p n e).
Definition product D (V : matrix) (Q : nat -> nat -> R) : matrix := fun c e => Sum D (fun d => V c d * Q d e).

Lemma product_assoc D V Q R' c e : product D (product D V Q) R' c e = product D V (product D Q R') c e.
Proof.
  unfold product.
  rewrite (Sum_ext D _ (fun d => Sum D (fun d' => V c d' * Q d' d * R' d e))) by (intros; now rewrite <- Sum_scal_r).
  rewrite Sum_swap. apply Sum_ext. intros. rewrite <- Sum_scal. apply Sum_ext. intros. ring.
Qed.

Lemma times_gram_product p V c d : times_gram p V c d = product (features p) V (gram_of p) c d.
Proof.
  unfold times_gram, product, gram_of, logit.
  rewrite (Sum_ext (features p) _ (fun e => Sum (samples p) (fun n => V c e * (weight p n * input p n e * input p n d))))
    by (intros; now rewrite Sum_scal).
  rewrite Sum_swap. apply Sum_ext. intros n Hn. rewrite Rmult_assoc, <- Sum_scal_r. apply Sum_ext. intros. ring.
Qed.

Lemma product_ext D V V' Q c e : (forall d, (d < D)%nat -> V c d = V' c d) -> product D V Q c e = product D V' Q c e.
Proof. intros H. apply Sum_ext. intros. now rewrite H. Qed.

Lemma product_ext_r D V Q Q' c e : (forall d, (d < D)%nat -> Q d e = Q' d e) -> product D V Q c e = product D V Q' c e.
Proof. intros H. apply Sum_ext. intros. now rewrite H. Qed.

(** - 2 grad(W) Q solves the equation of the step. *)
Theorem S19_any_inverse p W Q :
  (forall d e, (d < features p)%nat -> (e < features p)%nat ->
    product (features p) (product (features p) (gram_of p) Q) (gram_of p) d e = gram_of p d e) ->
  solves p W (product (features p) (fun c d => - 2 * gradient p W c d) Q).
Proof.
  intros inv. destruct (S19_solvable p W) as [V HV]. intros c d Hc Hd. set (D := features p) in *.
  rewrite times_gram_product. fold D.
  assert (E : forall e, (e < D)%nat -> product D V (gram_of p) c e = - 2 * gradient p W c e).
  { intros e He. rewrite <- (HV c e Hc He), times_gram_product. reflexivity. }
  transitivity (product D (product D (product D V (gram_of p)) Q) (gram_of p) c d).
  { apply product_ext. intros e He. apply product_ext. intros f Hf. symmetry. auto. }
  rewrite <- (E d Hd).
  transitivity (product D (product D V (product D (gram_of p) Q)) (gram_of p) c d).
  { apply product_ext. intros e He. apply product_assoc. }
  rewrite product_assoc. apply product_ext_r. intros e He. apply inv; auto.
Qed.
