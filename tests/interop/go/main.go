// The interop peer of gRPC's Go stack; ../README.md has the command line.
package main

import (
	"fmt"
	"os"
	"sort"
)

// The words after the role: what is not an option is positional.
type arguments struct {
	list       bool
	certs      []string
	name       string
	positional []string
}

func parse(words []string, certs int) (arguments, error) {
	var args arguments
	take := func(n int) ([]string, error) {
		if len(words) <= n {
			return nil, fmt.Errorf("%s takes %d more", words[0], n)
		}
		taken := words[1 : n+1]
		words = words[n:]
		return taken, nil
	}
	for ; len(words) > 0; words = words[1:] {
		var err error
		switch words[0] {
		case "--list":
			args.list = true
		case "--tls":
			args.certs, err = take(certs)
		case "--name":
			var name []string
			if name, err = take(1); err == nil {
				args.name = name[0]
			}
		default:
			args.positional = append(args.positional, words[0])
		}
		if err != nil {
			return args, err
		}
	}
	return args, nil
}

func client(words []string) error {
	args, err := parse(words, 1)
	if err != nil {
		return err
	}
	if args.list {
		names := make([]string, 0, len(cases))
		for name := range cases {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			fmt.Println(name)
		}
		return nil
	}
	if len(args.positional) != 2 || cases[args.positional[1]] == nil {
		return fmt.Errorf("an address and a case of --list, not %q", args.positional)
	}
	target, err := newTarget(args.positional[0], args.certs, args.name)
	if err != nil {
		return err
	}
	defer target.conn.Close()
	if err := cases[args.positional[1]](target); err != nil {
		return fmt.Errorf("%s: %w", args.positional[1], err)
	}
	return nil
}

func server(words []string) error {
	args, err := parse(words, 2)
	if err != nil {
		return err
	}
	if args.list {
		for _, name := range serverCases {
			fmt.Println(name)
		}
		return nil
	}
	return serve(args.certs)
}

func main() {
	roles := map[string]func([]string) error{"client": client, "server": server}
	if len(os.Args) < 2 || roles[os.Args[1]] == nil {
		fmt.Println("client or server")
		os.Exit(2)
	}
	if err := roles[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
