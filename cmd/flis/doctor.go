package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/flis-dk/flis/schemas"
	"github.com/flis-dk/flis/sinks/store"
)

func doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check configuration, broker and storage",
		Long: `doctor tries what an installation rests on: the configuration, agreements and catalog load; the broker answers and its
raw topics are made as they should be; the registry answers; the storage makes an object once when many writers race for
it. Each line is one check. Exit code 1 when one of them fails.`,
		Example: `  flis doctor --dir ./flis-data`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in, err := openInstallation(c)
			if err != nil {
				return err
			}
			return in.diagnose(c.Context())
		},
	}
}

// check is one line of doctor: what was found, or what is wrong.
type check struct {
	name string
	run  func(context.Context) (string, error)
}

func (in *installation) diagnose(ctx context.Context) error {
	bad := 0
	for _, c := range []check{
		{"configuration", in.checkConfiguration},
		{"catalog", in.checkCatalog},
		{"key", in.checkKey},
		{"storage, journal", racing(in.internal)},
		{"storage, tables", racing(in.delivered)},
		{"registry", in.checkRegistry},
		{"broker", in.checkBroker},
	} {
		found, err := c.run(ctx)
		if err != nil {
			bad++
			in.out.Printf("FAIL  %-17s %v\n", c.name, err)
			continue
		}
		in.out.Printf("ok    %-17s %s\n", c.name, found)
	}
	if bad > 0 {
		return fmt.Errorf("doctor: %d of the checks failed", bad)
	}
	return nil
}

func (in *installation) checkConfiguration(context.Context) (string, error) {
	where := "defaults, CPR for all 98 municipalities"
	if in.cfg.Agreements != "" {
		where = in.cfg.Agreements
	}
	return fmt.Sprintf(
		"%d agreements over %d units (%s)",
		len(in.speaking.All()),
		len(in.speaking.Units()),
		where,
	), nil
}

func (in *installation) checkCatalog(context.Context) (string, error) {
	return fmt.Sprintf(
		"%d datasets, systems %v, fingerprint %s",
		len(in.datasets),
		in.catalog.Systems(),
		in.catalog.Fingerprint(),
	), nil
}

func (in *installation) checkKey(context.Context) (string, error) {
	if _, err := loadKey(in.cfg); err != nil {
		return "", err
	}
	path := in.cfg.Key
	if path == "" {
		path = filepath.Join(in.cfg.Dir, keyName)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s can be read by others: chmod 600 it", path)
	}
	return path, nil
}

const (
	raceKeys    = 20
	raceWriters = 8
)

func racing(st store.Store) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) { return raceCreates(ctx, st) }
}

// raceCreates lets writers race for keys: storage where two of them win cannot keep a journal.
func raceCreates(ctx context.Context, st store.Store) (string, error) {
	id := writerID()
	for k := range raceKeys {
		key := fmt.Sprintf("doctor/%s-%02d", id, k)
		var won, lost atomic.Int32
		var failed error
		var mu sync.Mutex
		var all sync.WaitGroup
		for w := range raceWriters {
			all.Go(func() {
				err := st.Create(ctx, key, func(out io.Writer) error {
					_, err := fmt.Fprintf(out, "writer %d", w)
					return err
				})
				switch {
				case err == nil:
					won.Add(1)
				case errors.Is(err, store.ErrExists):
					lost.Add(1)
				default:
					mu.Lock()
					failed = err
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if err := errors.Join(failed, st.Delete(ctx, key)); err != nil {
			return "", err
		}
		if won.Load() != 1 {
			return "", fmt.Errorf(
				"of %d writers that raced for one object %d won: this storage cannot be used",
				raceWriters,
				won.Load(),
			)
		}
	}
	return fmt.Sprintf("%d races of %d writers: each had one winner", raceKeys, raceWriters), nil
}

func (in *installation) checkRegistry(ctx context.Context) (string, error) {
	if in.cfg.Registry.URL == "" {
		return "built in", nil
	}
	for _, s := range in.systems() {
		for _, e := range in.catalog.Events(s) {
			topic := schemas.RawTopic(s, e)
			sc, ok := in.catalog.TopicSchema(topic)
			if !ok {
				return "", fmt.Errorf("topic %s has no schema", topic)
			}
			if _, err := in.registry.Register(ctx, topic+"-value", sc.JSON); err != nil {
				return "", err
			}
		}
	}
	return in.cfg.Registry.URL + ": the schemas of every system are there", nil
}

func (in *installation) checkBroker(ctx context.Context) (string, error) {
	cl, err := in.connect(ctx)
	if err != nil {
		return "", err
	}
	defer cl.Close()
	n := 0
	var wrong []error
	for _, s := range in.systems() {
		topics, err := cl.topics(ctx, in, s)
		if err != nil {
			return "", err
		}
		for _, t := range topics {
			n++
			d, err := cl.Describe(ctx, t)
			if err != nil {
				return "", err
			}
			if !in.cfg.embedded() && !d.LogAppendTime {
				wrong = append(
					wrong,
					fmt.Errorf("topic %s has the producer's time: set message.timestamp.type=LogAppendTime", t),
				)
			}
			if d.MaxMessageBytes < rawMessageBytes {
				wrong = append(
					wrong,
					fmt.Errorf("topic %s takes %d bytes a message: set max.message.bytes=%d", t,
						d.MaxMessageBytes, rawMessageBytes),
				)
			}
		}
	}
	kind := "embedded (no LogAppendTime: arrival is the feed's time)"
	if !in.cfg.embedded() {
		kind = fmt.Sprint(in.cfg.Kafka.Brokers)
	}
	return fmt.Sprintf("%s, cluster %s, %d topics", kind, cl.ClusterID(), n), errors.Join(wrong...)
}

// rawMessageBytes is what a raw topic must let through (kafka.RawConfigs).
const rawMessageBytes = 16 << 20
