// A control plane on go-control-plane, on a loopback port that it says in its first line. Each line of its input is a
// whole snapshot, `{"version": "2", "resources": [{"@type": …}, …]}`, for everybody who asks; each line of its output
// after the first is a request that it was sent, or `{"taken": "2"}`: who asks from now on is answered from snapshot 2.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"sync"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
)

type everybody struct{}

func (everybody) ID(*core.Node) string { return "everybody" }

type said struct {
	Type    string   `json:"type"`
	Node    string   `json:"node"`
	Version string   `json:"version"`
	Nonce   string   `json:"nonce"`
	Names   []string `json:"names"`
	Error   string   `json:"error"`
}

func main() {
	port, isAds := "0", true
	if len(os.Args) > 1 {
		port = os.Args[1]
	}
	known := cache.NewSnapshotCache(isAds, everybody{}, nil)
	var output sync.Mutex
	callbacks := server.CallbackFuncs{
		StreamRequestFunc: func(_ int64, request *discovery.DiscoveryRequest) error {
			line, _ := json.Marshal(said{
				Type: request.TypeUrl, Node: request.GetNode().GetId(), Version: request.VersionInfo,
				Nonce: request.ResponseNonce, Names: request.ResourceNames,
				Error: request.GetErrorDetail().GetMessage(),
			})
			output.Lock()
			defer output.Unlock()
			fmt.Println(string(line))
			return nil
		},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		log.Fatal(err)
	}
	rpc := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(rpc, server.NewServer(context.Background(), known, callbacks))
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() { log.Fatal(rpc.Serve(listener)) }()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 256<<20)
	for lines.Scan() {
		version := take(known, lines.Bytes())
		output.Lock()
		fmt.Printf("{\"taken\": %q}\n", version)
		output.Unlock()
	}
}

func take(known cache.SnapshotCache, line []byte) string {
	var wanted struct {
		Version   string            `json:"version"`
		Resources []json.RawMessage `json:"resources"`
	}
	if err := json.Unmarshal(line, &wanted); err != nil {
		log.Fatal(err)
	}
	byType := map[resource.Type][]types.Resource{
		resource.ClusterType: {}, resource.EndpointType: {}, resource.ListenerType: {}, resource.RouteType: {},
	}
	for _, text := range wanted.Resources {
		packed := &anypb.Any{}
		if err := protojson.Unmarshal(text, packed); err != nil {
			log.Fatal(err)
		}
		message, err := packed.UnmarshalNew()
		if err != nil {
			log.Fatal(err)
		}
		byType[packed.TypeUrl] = append(byType[packed.TypeUrl], message)
	}
	snapshot, err := cache.NewSnapshot(wanted.Version, byType)
	if err != nil {
		log.Fatal(err)
	}
	if err := known.SetSnapshot(context.Background(), "everybody", snapshot); err != nil {
		log.Fatal(err)
	}
	return wanted.Version
}
