package metrics

import "context"

// synthetic trains two classifiers, one on generated pictures and one on as many training pictures, and tests both on the held-out ones.
func (in *Input) synthetic(ctx context.Context, r *Report) error {
	classes := in.Classes
	if in.Classifier != nil {
		classes = in.Classifier.Classes
	}
	n := min(r.N, r.NTrain)
	for _, s := range []struct {
		stage string
		im    Images
		to    *Figure
	}{{"classifier of real ones", in.Train, &r.TrainOnSyntheticHeldout}, {"classifier of samples", in.Generated, &r.TrainOnSynthetic}} {
		k, err := TrainClassifier(ctx, in.Device, s.im.pick(mixed(s.im.Len(), s.im.Labels, in.Seed)[:n]), classes, in.Config, func(done, total int) { in.report(s.stage, done, total) })
		if err != nil {
			return err
		}
		read, err := k.Read(ctx, in.Heldout)
		if err != nil {
			return err
		}
		*s.to = Figure(read.Accuracy(in.Heldout.Labels))
	}
	return nil
}

// pick is the pictures with the given indices, labels included.
func (im Images) pick(index []int) Images {
	out := Images{Pixels: im.points().pick(index).X, H: im.H, W: im.W, C: im.C}
	if im.Labels != nil {
		out.Labels = make([]int32, len(index))
		for i, at := range index {
			out.Labels[i] = im.Labels[at]
		}
	}
	return out
}
