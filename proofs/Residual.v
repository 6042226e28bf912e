(** S15b with the spectral norm of the residual. *)

From Coq Require Import Reals Lra.
From Coquelicot Require Import Coquelicot.
From Softmax Require Import Sums Problem PairCurvature.
Open Scope R_scope.

(** e is at least the spectral norm of E: |E x| <= e |x| for every x. *)
Definition norm_bound (n : nat) (E : nat -> nat -> R) (e : R) : Prop :=
  forall x, dot n (fun i => dot n (E i) x) (fun i => dot n (E i) x) <= e² * dot n x x.

(** M >= - |M - R R^T| I, for any matrix R whatever. *)
Theorem S15b n k M R e x :
  0 <= e -> norm_bound n (fun i j => M i j - Sum k (fun l => R i l * R j l)) e ->
  - e * dot n x x <= quadratic n M x.
Proof.
  intros He HE. set (E := fun i j => M i j - Sum k (fun l => R i l * R j l)) in *.
  (* M + e I has the residual E + e I, which is semidefinite: |x^T E x| <= |x| |E x| <= e |x|^2 *)
  assert (Hx : - e * dot n x x <= quadratic n E x).
  { assert (HC := Cauchy_Schwarz n x (fun i => dot n (E i) x)). specialize (HE x). assert (Hd := dot_self_nonneg n x).
    assert (Eq : quadratic n E x = dot n x (fun i => dot n (E i) x)).
    { apply Sum_ext. intros i Hi. unfold dot. rewrite <- Sum_scal. apply Sum_ext. intros. ring. }
    rewrite Eq. set (z := dot n x (fun i => dot n (E i) x)) in *.
    assert (Hz : z² <= (e * dot n x x)²).
    { eapply Rle_trans; [exact HC|]. apply Rle_trans with (dot n x x * (e² * dot n x x)).
      - now apply Rmult_le_compat_l.
      - unfold Rsqr. right. ring. }
    apply Rsqr_le_abs_0 in Hz. rewrite (Rabs_pos_eq (e * dot n x x)) in Hz by now apply Rmult_le_pos.
    apply Rabs_le_between in Hz. lra. }
  (* x^T M x = x^T E x + |R^T x|^2 *)
  assert (Split : quadratic n M x = quadratic n E x + Sum k (fun l => (Sum n (fun i => R i l * x i))²)).
  { transitivity (quadratic n E x + Sum n (fun i => Sum n (fun j => Sum k (fun l => R i l * R j l) * x i * x j))).
    - unfold quadratic. rewrite <- Sum_plus. apply Sum_ext. intros i Hi. rewrite <- Sum_plus. apply Sum_ext.
      intros j Hj. unfold E. ring.
    - f_equal.
      rewrite (Sum_ext k (fun l => (Sum n (fun i => R i l * x i))²)
        (fun l => Sum n (fun i => Sum n (fun j => R i l * x i * (R j l * x j)))))
        by (intros; unfold Rsqr; apply Sum_product).
      rewrite (Sum_swap k n). apply Sum_ext. intros i Hi. rewrite (Sum_swap k n). apply Sum_ext. intros j Hj.
      rewrite Rmult_assoc, <- Sum_scal_r. apply Sum_ext. intros. ring. }
  assert (0 <= Sum k (fun l => (Sum n (fun i => R i l * x i))²)) by (apply Sum_nonneg; intros; apply Rle_0_sqr).
  lra.
Qed.
