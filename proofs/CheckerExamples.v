(** * Certificates of js.decide_existence that the tests of Checker.v accept, and changed ones that they refuse

    Labels, one feature and an intercept; the certificates are those that the package finds. Coq computes the tests. *)

From Coq Require Import ZArith List Bool.
From Softmax Require Import Checker.
Import ListNotations.
Open Scope Z_scope.

Definition entry_of (rows : list (list Z)) (n d : nat) : Z := nth d (nth n rows []) 0.

(** Rows of X over one denominator for each column, and the samples' labels. *)
Definition labelled (classes : nat) (x : list (list Z)) (denominators : list Z) (label : list nat) : data :=
  {| rows := length x; labels := classes; columns := length denominators;
     integer := entry_of x; denominator := fun d => nth d denominators 1;
     supported := fun n j => Nat.eqb j (nth n label 0%nat); idle := fun _ => false |}.

(** A block of multipliers: the rows with these numbers have these values. *)
Definition block_of (q : Z) (numbers : list nat) (values : list (list Z)) : block :=
  (q, fun n => match find (fun nv => Nat.eqb (fst nv) n) (combine numbers values) with
    | Some (_, row) => Some (fun j => nth j row 0)
    | None => None
    end).

(** Samples 0 (class 0) and 1 (class 1): V separates them completely. *)
Definition apart_data := labelled 2 [[0; 1]; [1; 1]] [1; 1] [0; 1]%nat.

Example accepted_complete : complete_ok apart_data (entry_of [[-2; 0]; [2; -1]]) 1 1 = true.
Proof. vm_compute. reflexivity. Qed.

Example refused_wrong_sign : direction_ok apart_data (entry_of [[2; 0]; [-2; -1]]) 1 1 = false.
Proof. vm_compute. reflexivity. Qed.

Example refused_zero : direction_ok apart_data (entry_of [[0; 0]; [0; 0]]) 1 1 = false.
Proof. vm_compute. reflexivity. Qed.

(** Samples 0, 1, 1/2, 1/4 of the classes 0, 1, 0, 1 overlap: G proves that a minimiser exists. *)
Definition overlap_data := labelled 2 [[0; 1]; [4; 1]; [2; 1]; [1; 1]] [4; 1] [0; 1; 0; 1]%nat.
Definition G_overlap := [block_of 1 [0; 1; 2; 3]%nat [[-1; 1]; [1; -1]; [-4; 4]; [4; -4]]].

Example accepted_attained : attained_ok overlap_data G_overlap 1 = true.
Proof. vm_compute. reflexivity. Qed.

Example accepted_not_complete : not_complete_ok overlap_data G_overlap 1 = true.
Proof. vm_compute. reflexivity. Qed.

Example refused_changed : attained_ok overlap_data [block_of 1 [0; 1; 2; 3]%nat [[-1; 1]; [1; -1]; [-4; 4]; [5; -5]]] 1 = false.
Proof. vm_compute. reflexivity. Qed.

(** Samples 0, 1, 1, 2 of the classes 0, 1, 0, 1: quasi-complete separation. *)
Definition tied_data := labelled 2 [[0; 1]; [1; 1]; [1; 1]; [2; 1]] [1; 1] [0; 1; 0; 1]%nat.
Definition G_tied := [block_of 1 [1; 2]%nat [[1; -1]; [-1; 1]]].

Example accepted_quasi_complete : quasi_complete_ok tied_data true (entry_of [[0; 0]; [1; -1]]) 1 1 G_tied 1 = true.
Proof. vm_compute. reflexivity. Qed.

Example refused_as_complete : complete_ok tied_data (entry_of [[0; 0]; [1; -1]]) 1 1 = false.
Proof. vm_compute. reflexivity. Qed.

(** The same multipliers in two blocks with different denominators, 1/2 + 1/2: rows are added up over both. *)
Example accepted_two_blocks :
  attained_ok overlap_data [block_of 2 [0; 1; 2; 3]%nat [[-1; 1]; [1; -1]; [-4; 4]; [4; -4]];
    block_of 6 [0; 1; 2; 3]%nat [[-3; 3]; [3; -3]; [-12; 12]; [12; -12]]] 6 = true.
Proof. vm_compute. reflexivity. Qed.
