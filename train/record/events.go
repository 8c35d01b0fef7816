package record

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Events writes a TensorBoard event file: records of length, masked CRC-32C of
// the length, an Event message, masked CRC-32C of the message, all little-endian
// (tensorflow/core/lib/io/record_writer.h and core/util/event.proto). Every
// event is handed to the system at once, so that TensorBoard follows a run.
type Events struct {
	f   *os.File
	now func() time.Time
}

// NewEvents makes a new event file in dir, which is made if need be, for the
// steps after the given one (-1 for a new run). An event file is never
// continued: a resumed run begins another, and its first event tells
// TensorBoard to drop what older files say of later steps.
func NewEvents(dir string, step int64) (*Events, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	e := &Events{now: time.Now}
	for n := 0; ; n++ { // TensorBoard reads the files in the order of their names
		name := fmt.Sprintf("events.out.tfevents.%010d.%s.%d.%d", e.now().Unix(), host, os.Getpid(), n)
		e.f, err = os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		if err == nil {
			break
		}
		if !os.IsExist(err) || n > 1000 {
			return nil, fmt.Errorf("record: %w", err)
		}
	}
	version := protowire.AppendString(protowire.AppendTag(nil, eventFileVersion, protowire.BytesType), "brain.Event:2")
	err = e.event(0, version)
	if err == nil && step >= 0 {
		session := appendVarint(nil, sessionStatus, sessionStart)
		err = e.event(step+1, appendBytes(nil, eventSessionLog, session))
	}
	if err != nil {
		e.f.Close()
		return nil, err
	}
	return e, nil
}

// Field numbers of tensorflow/core/util/event.proto and
// tensorflow/core/framework/summary.proto.
const (
	eventWallTime    = 1 // double
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary
	eventSessionLog  = 7 // SessionLog

	sessionStatus = 1 // enum
	sessionStart  = 1

	summaryValue = 1 // repeated Value
	valueTag     = 1 // string
	valueSimple  = 2 // float
	valueImage   = 4 // Image
	valueHisto   = 5 // HistogramProto

	imageHeight     = 1 // int32
	imageWidth      = 2 // int32
	imageColorspace = 3 // int32: channels
	imageEncoded    = 4 // bytes

	histoMin, histoMax, histoNum    = 1, 2, 3 // double
	histoSum, histoSumSquares       = 4, 5    // double
	histoBucketLimits, histoBuckets = 6, 7    // repeated double, packed
)

// Scalars writes the values of one step; TensorBoard keeps them as float32.
func (e *Events) Scalars(step int64, values ...Value) error {
	var summary []byte
	for _, v := range values {
		value := appendString(nil, valueTag, v.Key)
		value = protowire.AppendTag(value, valueSimple, protowire.Fixed32Type)
		value = protowire.AppendFixed32(value, math.Float32bits(float32(v.V)))
		summary = appendBytes(summary, summaryValue, value)
	}
	return e.event(step, appendBytes(nil, eventSummary, summary))
}

// PNG writes a picture that is encoded already. A palette's colours count as RGB, which it stands for.
func (e *Events) PNG(step int64, key string, data []byte) error {
	c, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("record: image %s: %w", key, err)
	}
	n := uint64(3)
	switch c.ColorModel {
	case color.GrayModel, color.Gray16Model:
		n = 1
	case color.NRGBAModel, color.NRGBA64Model:
		n = 4
	}
	return e.encoded(step, key, image.Pt(c.Width, c.Height), n, data)
}

func (e *Events) encoded(step int64, key string, size image.Point, channels uint64, data []byte) error {
	m := appendVarint(nil, imageHeight, uint64(size.Y))
	m = appendVarint(m, imageWidth, uint64(size.X))
	m = appendVarint(m, imageColorspace, channels)
	m = appendBytes(m, imageEncoded, data)
	return e.value(step, key, valueImage, m)
}

// Histogram writes the distribution of values (weights, gradients). Values that
// are not finite have no place in it and are left out.
func (e *Events) Histogram(step int64, key string, values []float32) error {
	h := newHistogram(values)
	var m []byte
	for _, x := range []struct {
		field protowire.Number
		v     float64
	}{{histoMin, h.min}, {histoMax, h.max}, {histoNum, h.num}, {histoSum, h.sum}, {histoSumSquares, h.sumSquares}} {
		m = appendDouble(m, x.field, x.v)
	}
	m = appendDoubles(m, histoBucketLimits, h.limits)
	m = appendDoubles(m, histoBuckets, h.counts)
	return e.value(step, key, valueHisto, m)
}

// value writes an event with one summary value.
func (e *Events) value(step int64, key string, field protowire.Number, m []byte) error {
	v := appendString(nil, valueTag, key)
	v = appendBytes(v, field, m)
	return e.event(step, appendBytes(nil, eventSummary, appendBytes(nil, summaryValue, v)))
}

// event frames and writes an Event whose content field is encoded already.
func (e *Events) event(step int64, what []byte) error {
	m := appendDouble(nil, eventWallTime, float64(e.now().UnixMicro())/1e6)
	m = appendVarint(m, eventStep, uint64(step))
	m = append(m, what...)
	if _, err := e.f.Write(frame(m)); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

// Close closes the file.
func (e *Events) Close() error { return e.f.Close() }
