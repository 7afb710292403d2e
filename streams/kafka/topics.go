package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	kafkago "github.com/segmentio/kafka-go"
)

// RawConfigs are the settings of a raw topic: the broker's clock tells when a record arrived, and a
// unit of 16 MiB gets through.
func RawConfigs() map[string]string {
	return map[string]string{
		"message.timestamp.type": "LogAppendTime",
		"max.message.bytes":      strconv.Itoa(16 << 20),
	}
}

// EnsureTopic makes the topic if it is not there and waits until each partition has a leader. A
// topic that is there stays as it is, whatever its partitions and settings. Replication is the
// broker's default.
func (c *Client) EnsureTopic(ctx context.Context, name string, partitions int,
	configs map[string]string) error {
	topic := kafkago.TopicConfig{Topic: name, NumPartitions: partitions, ReplicationFactor: -1}
	for k, v := range configs {
		topic.ConfigEntries = append(topic.ConfigEntries,
			kafkago.ConfigEntry{ConfigName: k, ConfigValue: v})
	}
	return c.persist(ctx, "create topic "+name, func(ctx context.Context) error {
		if _, err := c.topic(ctx, name); !errors.Is(err, ErrNoTopic) {
			return c.led(ctx, name, err)
		}
		res, err := c.client.CreateTopics(ctx,
			&kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{topic}})
		if err == nil {
			err = res.Errors[name]
		}
		if errors.Is(err, kafkago.TopicAlreadyExists) {
			err = nil
		}
		return c.led(ctx, name, err)
	})
}

// led passes err on, or says temporarily that a partition has no leader yet.
func (c *Client) led(ctx context.Context, name string, err error) error {
	if err != nil {
		return err
	}
	all, err := c.leaders(ctx, []string{name})
	if err != nil {
		return err
	}
	if len(all[name]) == 0 {
		return kafkago.LeaderNotAvailable
	}
	for _, p := range all[name] {
		if p.Leader.Host == "" {
			return kafkago.LeaderNotAvailable
		}
	}
	return nil
}

// Description is what doctor looks at.
type Description struct {
	Topic
	LogAppendTime   bool
	MaxMessageBytes int
	Configs         map[string]string // all settings that the broker tells
}

// Describe reads a topic's settings. ErrNoTopic.
func (c *Client) Describe(ctx context.Context, name string) (*Description, error) {
	d := &Description{}
	err := c.persist(ctx, "describe topic "+name, func(ctx context.Context) (err error) {
		if d.Topic, err = c.topic(ctx, name); err == nil {
			d.Configs, err = c.configs(ctx, name)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	d.LogAppendTime = d.Configs["message.timestamp.type"] == "LogAppendTime"
	if d.MaxMessageBytes, err = strconv.Atoi(d.Configs["max.message.bytes"]); err != nil {
		return nil, fmt.Errorf("describe topic %s: max.message.bytes: %w", name, err)
	}
	return d, nil
}

func (c *Client) configs(ctx context.Context, name string) (map[string]string, error) {
	res, err := c.client.DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{
		Resources: []kafkago.DescribeConfigRequestResource{{
			ResourceType: kafkago.ResourceTypeTopic, ResourceName: name}}})
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, r := range res.Resources {
		if r.Error != nil {
			return nil, r.Error
		}
		for _, e := range r.ConfigEntries {
			all[e.ConfigName] = e.ConfigValue
		}
	}
	return all, nil
}
