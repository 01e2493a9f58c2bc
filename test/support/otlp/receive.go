// The OpenTelemetry collector's own receivers: of OTLP by gRPC and by HTTP, and of Zipkin, at the three addresses that
// it is called with. Each export that they take is a line of standard output: {"traces": …} or {"logs": …}, in OTLP's
// JSON.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/zipkinreceiver"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

var printing sync.Mutex

func say(signal string, text []byte, err error) error {
	if err != nil {
		return err
	}
	printing.Lock()
	defer printing.Unlock()
	fmt.Printf("{%q: %s}\n", signal, text)
	return nil
}

func need[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	protocols := map[string]any{
		"grpc": map[string]any{"endpoint": os.Args[1]},
		"http": map[string]any{"endpoint": os.Args[2]},
	}
	need(0, confmap.NewFromStringMap(map[string]any{"protocols": protocols}).Unmarshal(config))
	settings := receiver.Settings{
		ID:                component.NewID(factory.Type()),
		TelemetrySettings: componenttest.NewNopTelemetrySettings(),
	}
	traces := need(consumer.NewTraces(func(_ context.Context, taken ptrace.Traces) error {
		text, err := (&ptrace.JSONMarshaler{}).MarshalTraces(taken)
		return say("traces", text, err)
	}))
	logs := need(consumer.NewLogs(func(_ context.Context, taken plog.Logs) error {
		text, err := (&plog.JSONMarshaler{}).MarshalLogs(taken)
		return say("logs", text, err)
	}))
	zipkin := zipkinreceiver.NewFactory()
	zipkinConfig := zipkin.CreateDefaultConfig()
	need(0, confmap.NewFromStringMap(map[string]any{"endpoint": os.Args[3]}).Unmarshal(zipkinConfig))
	zipkinSettings := receiver.Settings{
		ID:                component.NewID(zipkin.Type()),
		TelemetrySettings: componenttest.NewNopTelemetrySettings(),
	}
	ofTraces := need(factory.CreateTraces(ctx, settings, config, traces))
	ofLogs := need(factory.CreateLogs(ctx, settings, config, logs))
	ofZipkin := need(zipkin.CreateTraces(ctx, zipkinSettings, zipkinConfig, traces))
	for _, one := range []component.Component{ofTraces, ofLogs, ofZipkin} {
		need(0, one.Start(ctx, componenttest.NewNopHost()))
	}
	fmt.Println("{}")
	<-ctx.Done()
}
