(** The example of S7c: the sample weights belong inside the condition number. *)

From Coq Require Import Reals Lra Lia.
From Softmax Require Import Sums Problem Softmax Curvature Bases Kernel Condition.
Open Scope R_scope.

(** X = I (two samples, two features), two classes, s = (1, 10^-6), uniform targets. *)
Definition small_weight (n : nat) : R := match n with O => 1 | _ => / 1000000 end.

Definition weights_inside : problem.
Proof.
  refine {| samples := 2; classes := 2; features := 2; input := delta; target := fun _ _ => / 2; weight := small_weight |}.
  - lia.
  - intros n _. unfold small_weight. destruct n; lra.
  - intros. lra.
  - intros. simpl. lra.
Defined.

(** At W = 0 the eigenvalues of the Hessian off its kernel are s_n / 2, and their ratio is 10^6. *)
Theorem S7c_weights_inside :
  forall n, (n < 2)%nat -> eigenvalue weights_inside (fun _ _ => 0) (small_weight n / 2).
Proof.
  intros n Hn.
  assert (Hs : 0 < small_weight n) by (unfold small_weight; destruct n; lra).
  apply (S7d_eigenvalues weights_inside eq_refl); [lra|].
  assert (Hy : forall m i, prob weights_inside (fun _ _ => 0) m i = / 2).
  { intros m i. unfold prob, softmax, logit. simpl.
    rewrite !Rmult_0_l, !Rplus_0_l, exp_0. field. }
  exists (delta n). split.
  - intros H. specialize (H n Hn). unfold delta in H. rewrite Nat.eqb_refl in H. lra.
  - intros d Hd. unfold small_matrix. simpl in Hd |- *. rewrite !Hy. unfold dot. simpl. unfold delta.
    destruct n as [|[|n]]; [| |lia]; destruct d as [|[|d]]; try lia; simpl; field.
Qed.
