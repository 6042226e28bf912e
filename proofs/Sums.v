(** Finite sums of real numbers: Sum n f = f 0 + ... + f (n - 1).

    Everything in this folder is a statement about such sums. Vectors are functions nat -> R, matrices are functions
    nat -> nat -> R; only the entries below the stated sizes ever count. *)

From Coq Require Import Reals Lra Lia.
From Coquelicot Require Import Coquelicot.
Open Scope R_scope.

Fixpoint Sum (n : nat) (f : nat -> R) : R :=
  match n with
  | O => 0
  | S m => Sum m f + f m
  end.

(** ** Equalities *)

Lemma Sum_ext n f g : (forall i, (i < n)%nat -> f i = g i) -> Sum n f = Sum n g.
Proof.
  induction n as [|n IH]; simpl; intros H; [reflexivity|].
  rewrite IH by (intros; apply H; lia). rewrite H by lia. reflexivity.
Qed.

Lemma Sum_plus n f g : Sum n (fun i => f i + g i) = Sum n f + Sum n g.
Proof. induction n as [|n IH]; simpl; [lra|rewrite IH; lra]. Qed.

Lemma Sum_minus n f g : Sum n (fun i => f i - g i) = Sum n f - Sum n g.
Proof. induction n as [|n IH]; simpl; [lra|rewrite IH; lra]. Qed.

Lemma Sum_opp n f : Sum n (fun i => - f i) = - Sum n f.
Proof. induction n as [|n IH]; simpl; [lra|rewrite IH; lra]. Qed.

Lemma Sum_scal n a f : Sum n (fun i => a * f i) = a * Sum n f.
Proof. induction n as [|n IH]; simpl; [lra|rewrite IH; lra]. Qed.

Lemma Sum_scal_r n a f : Sum n (fun i => f i * a) = Sum n f * a.
Proof. induction n as [|n IH]; simpl; [lra|rewrite IH; lra]. Qed.

Lemma Sum_const n a : Sum n (fun _ => a) = INR n * a.
Proof. induction n as [|n IH]; simpl Sum; [simpl; lra|rewrite IH, S_INR; lra]. Qed.

Lemma Sum_zero n f : (forall i, (i < n)%nat -> f i = 0) -> Sum n f = 0.
Proof. intros H. rewrite (Sum_ext n f (fun _ => 0)) by assumption. rewrite Sum_const. lra. Qed.

Lemma Sum_swap n m (f : nat -> nat -> R) :
  Sum n (fun i => Sum m (fun j => f i j)) = Sum m (fun j => Sum n (fun i => f i j)).
Proof.
  induction n as [|n IH]; simpl.
  - symmetry. apply Sum_zero. reflexivity.
  - rewrite IH, <- Sum_plus. reflexivity.
Qed.

Lemma Sum_product n m f g : Sum n f * Sum m g = Sum n (fun i => Sum m (fun j => f i * g j)).
Proof.
  rewrite <- Sum_scal_r. apply Sum_ext. intros. now rewrite <- Sum_scal.
Qed.

(** A sum that picks one entry. *)
Lemma Sum_pick n k f : (k < n)%nat -> Sum n (fun i => if Nat.eqb i k then f i else 0) = f k.
Proof.
  induction n as [|n IH]; intros H; [lia|]. simpl.
  destruct (Nat.eqb_spec n k) as [->|E].
  - rewrite Sum_zero; [lra|]. intros i Hi. destruct (Nat.eqb_spec i k); [lia|reflexivity].
  - rewrite IH by lia. lra.
Qed.

(** ** Inequalities *)

Lemma Sum_le n f g : (forall i, (i < n)%nat -> f i <= g i) -> Sum n f <= Sum n g.
Proof.
  induction n as [|n IH]; simpl; intros H; [lra|].
  apply Rplus_le_compat; [apply IH; intros; apply H; lia|apply H; lia].
Qed.

Lemma Sum_nonneg n f : (forall i, (i < n)%nat -> 0 <= f i) -> 0 <= Sum n f.
Proof. intros H. rewrite <- (Sum_zero n (fun _ => 0)) by reflexivity. now apply Sum_le. Qed.

Lemma Sum_pos n f : (0 < n)%nat -> (forall i, (i < n)%nat -> 0 < f i) -> 0 < Sum n f.
Proof.
  intros Hn H. destruct n as [|n]; [lia|]. simpl.
  assert (0 <= Sum n f) by (apply Sum_nonneg; intros; apply Rlt_le, H; lia).
  assert (0 < f n) by (apply H; lia). lra.
Qed.

(** A term is at most the sum of non-negative terms. *)
Lemma Sum_term_le n f k : (forall i, (i < n)%nat -> 0 <= f i) -> (k < n)%nat -> f k <= Sum n f.
Proof.
  intros H Hk. rewrite <- (Sum_pick n k f Hk). apply Sum_le. intros i Hi.
  destruct (Nat.eqb_spec i k); [lra|now apply H].
Qed.

(** A sum of non-negative terms vanishes only if every term does. *)
Lemma Sum_eq_0 n f : (forall i, (i < n)%nat -> 0 <= f i) -> Sum n f = 0 -> forall i, (i < n)%nat -> f i = 0.
Proof.
  intros H E i Hi. apply Rle_antisym; [|now apply H]. rewrite <- E. now apply Sum_term_le.
Qed.

(** ** Derivatives *)

Lemma is_derive_Sum n (f : nat -> R -> R) (x : R) (df : nat -> R) :
  (forall i, (i < n)%nat -> is_derive (f i) x (df i)) ->
  is_derive (fun t => Sum n (fun i => f i t)) x (Sum n df).
Proof.
  induction n as [|n IH]; simpl; intros H.
  - apply (@is_derive_const R_AbsRing R_NormedModule).
  - apply (is_derive_plus (fun t => Sum n (fun i => f i t)) (f n)).
    + apply IH. intros. apply H. lia.
    + apply H. lia.
Qed.

(** ** Inner products and the Cauchy-Schwarz inequality *)

Definition dot (n : nat) (u v : nat -> R) : R := Sum n (fun i => u i * v i).

Lemma dot_comm n u v : dot n u v = dot n v u.
Proof. apply Sum_ext. intros. ring. Qed.

Lemma dot_self_nonneg n u : 0 <= dot n u u.
Proof. apply Sum_nonneg. intros. nra. Qed.

(** With weights w_i >= 0: (sum w u v)^2 <= (sum w u^2) (sum w v^2). The difference is half of
    sum_ij w_i w_j (u_i v_j - u_j v_i)^2 (Lagrange). *)
Lemma Cauchy_Schwarz_weighted n w u v :
  (forall i, (i < n)%nat -> 0 <= w i) ->
  (Sum n (fun i => w i * (u i * v i)))² <= Sum n (fun i => w i * (u i)²) * Sum n (fun i => w i * (v i)²).
Proof.
  intros Hw.
  assert (0 <= Sum n (fun i => Sum n (fun j => w i * w j * (u i * v j - u j * v i)²))) as H.
  { apply Sum_nonneg. intros i Hi. apply Sum_nonneg. intros j Hj.
    apply Rmult_le_pos; [apply Rmult_le_pos; auto|apply Rle_0_sqr]. }
  assert (E : Sum n (fun i => Sum n (fun j => w i * w j * (u i * v j - u j * v i)²)) =
    2 * (Sum n (fun i => w i * (u i)²) * Sum n (fun i => w i * (v i)²))
    - 2 * (Sum n (fun i => w i * (u i * v i)))²).
  { unfold Rsqr at 4. rewrite !Sum_product.
    rewrite (Sum_ext n _ (fun i =>
      (Sum n (fun j => w i * (u i)² * (w j * (v j)²)) + Sum n (fun j => w j * (u j)² * (w i * (v i)²)))
      - 2 * Sum n (fun j => w i * (u i * v i) * (w j * (u j * v j))))).
    2: { intros i Hi. rewrite <- Sum_plus, <- Sum_scal, <- Sum_minus. apply Sum_ext. intros. unfold Rsqr. ring. }
    rewrite Sum_minus, Sum_plus, Sum_scal.
    rewrite (Sum_swap n n (fun i j => w j * (u j)² * (w i * (v i)²))). ring. }
  lra.
Qed.

Lemma Cauchy_Schwarz n u v : (dot n u v)² <= dot n u u * dot n v v.
Proof.
  generalize (Cauchy_Schwarz_weighted n (fun _ => 1) u v (fun i _ => Rle_0_1)). unfold dot.
  rewrite (Sum_ext n (fun i => 1 * (u i * v i)) (fun i => u i * v i)) by (intros; ring).
  rewrite (Sum_ext n (fun i => 1 * (u i)²) (fun i => u i * u i)) by (intros; unfold Rsqr; ring).
  rewrite (Sum_ext n (fun i => 1 * (v i)²) (fun i => v i * v i)) by (intros; unfold Rsqr; ring).
  trivial.
Qed.
