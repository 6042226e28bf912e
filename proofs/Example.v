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

(** And these are all its eigenvalues on the complement of the kernel: the ratio 10^6 is the condition number. *)
Theorem S7c_weights_inside_all l :
  eigenvalue weights_inside (fun _ _ => 0) l <-> l = / 2 \/ l = / 2000000.
Proof.
  split.
  - intros He.
    assert (nz : l <> 0).
    { destruct He as [V [HV [Hne E]]]. apply eigenvalue_form in E.
      assert (P := S6_positive_on_complement _ (fun _ _ => 0) V HV Hne). rewrite E in P.
      intros ->. lra. }
    apply (S7d_eigenvalues weights_inside eq_refl) in He; [|exact nz].
    assert (Hy : forall m i, prob weights_inside (fun _ _ => 0) m i = / 2).
    { intros m i. unfold prob, softmax, logit. simpl. rewrite !Rmult_0_l, !Rplus_0_l, exp_0. field. }
    destruct He as [v [vne E]].
    assert (E0 := E 0%nat ltac:(simpl; lia)). assert (E1 := E 1%nat ltac:(simpl; lia)).
    unfold small_matrix in E0, E1. simpl in E0, E1. rewrite !Hy in E0, E1. unfold dot, small_weight in E0, E1. simpl in E0, E1.
    unfold delta in E0, E1. simpl in E0, E1.
    destruct (Req_dec (v 0%nat) 0) as [z0|n0].
    + destruct (Req_dec (v 1%nat) 0) as [z1|n1].
      * exfalso. apply vne. intros d Hd. simpl in Hd. destruct d as [|[|d]]; [auto|auto|lia].
      * right. apply Rmult_eq_reg_r with (v 1%nat); [|exact n1]. lra.
    + left. apply Rmult_eq_reg_r with (v 0%nat); [|exact n0]. lra.
  - intros [-> | ->].
    + replace (/ 2) with (small_weight 0 / 2) by (unfold small_weight; lra). apply S7c_weights_inside. lia.
    + replace (/ 2000000) with (small_weight 1 / 2) by (unfold small_weight; lra). apply S7c_weights_inside. lia.
Qed.
