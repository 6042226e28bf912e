(** Functions of one variable: what a bound on the second derivative says about the values. *)

From Coq Require Import Reals Lra.
From Coquelicot Require Import Coquelicot.
Open Scope R_scope.

(** The mean value theorem for a function that has a derivative everywhere. *)
Lemma mean_value (f df : R -> R) a b :
  a <= b -> (forall t, is_derive f t (df t)) -> exists c, a <= c <= b /\ f b - f a = df c * (b - a).
Proof.
  intros Hab Hd.
  destruct (MVT_gen f a b df) as [c [Hc E]]; rewrite ?Rmin_left, ?Rmax_right in * by assumption.
  - intros x _. apply Hd.
  - intros x _. apply continuity_pt_filterlim, (ex_derive_continuous f). eexists. apply Hd.
  - now exists c.
Qed.

(** Taylor's formula with the second derivative bounded above: f 1 <= f 0 + f' 0 + M / 2. *)
Lemma Taylor_above (f f' f'' : R -> R) M :
  (forall t, is_derive f t (f' t)) -> (forall t, is_derive f' t (f'' t)) -> (forall t, f'' t <= M) ->
  f 1 <= f 0 + f' 0 + M / 2.
Proof.
  intros Hf Hf' HM.
  (* g t = f' 0 t + M t^2 / 2 - f t has the derivative f' 0 + M t - f' t >= 0 *)
  destruct (mean_value (fun t => f' 0 * t + M * t ^ 2 / 2 - f t) (fun t => f' 0 + M * t - f' t) 0 1)
    as [c [Hc E]]; [lra| |].
  - intros t. apply (is_derive_minus (fun t => f' 0 * t + M * t ^ 2 / 2) f t (f' 0 + M * t) (f' t)); [|apply Hf].
    auto_derive; [trivial|field].
  - destruct (mean_value f' f'' 0 c) as [e [He E']]; [lra|exact Hf'|].
    assert (f'' e * c <= M * c) by (apply Rmult_le_compat_r; [lra|apply HM]).
    lra.
Qed.

(** ... and below: f 0 + f' 0 + m / 2 <= f 1. The bound is needed between 0 and 1 only. *)
Lemma Taylor_below_between (f f' f'' : R -> R) m :
  (forall t, is_derive f t (f' t)) -> (forall t, is_derive f' t (f'' t)) -> (forall t, 0 <= t <= 1 -> m <= f'' t) ->
  f 0 + f' 0 + m / 2 <= f 1.
Proof.
  intros Hf Hf' Hm.
  (* g t = f t - f' 0 t - m t^2 / 2 has the derivative f' t - f' 0 - m t >= 0 *)
  destruct (mean_value (fun t => f t - (f' 0 * t + m * t ^ 2 / 2)) (fun t => f' t - (f' 0 + m * t)) 0 1)
    as [c [Hc E]]; [lra| |].
  - intros t. apply (is_derive_minus f (fun t => f' 0 * t + m * t ^ 2 / 2) t (f' t) (f' 0 + m * t)); [apply Hf|].
    auto_derive; [trivial|field].
  - destruct (mean_value f' f'' 0 c) as [e [He E']]; [lra|exact Hf'|].
    assert (m * c <= f'' e * c) by (apply Rmult_le_compat_r; [lra|apply Hm; lra]).
    lra.
Qed.

Lemma Taylor_below (f f' f'' : R -> R) m :
  (forall t, is_derive f t (f' t)) -> (forall t, is_derive f' t (f'' t)) -> (forall t, m <= f'' t) ->
  f 0 + f' 0 + m / 2 <= f 1.
Proof. intros Hf Hf' Hm. apply (Taylor_below_between f f' f'' m Hf Hf'). intros. apply Hm. Qed.

(** A positive second derivative: f lies strictly above its tangent. *)
Lemma Taylor_strictly_below (f f' f'' : R -> R) :
  (forall t, is_derive f t (f' t)) -> (forall t, is_derive f' t (f'' t)) -> (forall t, 0 < f'' t) ->
  f 0 + f' 0 < f 1.
Proof.
  intros Hf Hf' Hpos.
  assert (Hslope : forall t, 0 <= t -> f' 0 <= f' t /\ (0 < t -> f' 0 < f' t)).
  { intros t Ht. destruct (mean_value f' f'' 0 t Ht Hf') as [c [_ E]]. specialize (Hpos c).
    split; [|intros Ht']; nra. }
  (* f 0 to f (1/2) with slopes >= f' 0, and on to f 1 with slopes > f' 0 *)
  destruct (mean_value f f' 0 (1/2)) as [a [Ha Ea]]; [lra|exact Hf|].
  destruct (mean_value f f' (1/2) 1) as [b [Hb Eb]]; [lra|exact Hf|].
  destruct (Hslope a) as [H1 _]; [lra|]. destruct (Hslope b) as [_ H2]; [lra|].
  assert (f' 0 < f' b) by (apply H2; lra). lra.
Qed.
