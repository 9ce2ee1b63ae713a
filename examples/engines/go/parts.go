package main

import (
	"google.golang.org/protobuf/proto"

	pb "orch-engine/orchpb"
)

const partBytes = 1 << 20

// What is too large for one gRPC message goes in parts.
func sendWhole(stream pb.EngineService_ExecuteServer, m *pb.ToOrchestrator) error {
	if proto.Size(m) <= partBytes {
		return stream.Send(m)
	}
	data, err := proto.Marshal(m)
	for more := true; more && err == nil; {
		part := data
		if more = len(data) > partBytes; more {
			part = data[:partBytes]
		}
		data = data[len(part):]
		err = stream.Send(&pb.ToOrchestrator{Kind: &pb.ToOrchestrator_Part{Part: &pb.Part{Data: part, More: more}}})
	}
	return err
}

func receiveWhole(stream pb.EngineService_ExecuteServer) (*pb.ToEngine, error) {
	var gathered []byte
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		part := m.GetPart()
		if part == nil {
			return m, nil
		}
		gathered = append(gathered, part.Data...)
		if !part.More {
			whole := new(pb.ToEngine)
			return whole, proto.Unmarshal(gathered, whole)
		}
	}
}
