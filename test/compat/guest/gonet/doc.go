// Gonet exercises the network poller over sockets that need no network: unix stream,
// datagram and packet sockets with deadlines, descriptor passing and many connections.
package main
