// SPDX-License-Identifier: Apache-2.0

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.StringJoiner;
import java.util.TreeMap;

import org.apache.cassandra.config.DatabaseDescriptor;
import org.apache.cassandra.dht.Murmur3Partitioner;
import org.apache.cassandra.dht.Token;
import org.apache.cassandra.locator.AbstractNetworkTopologySnitch;
import org.apache.cassandra.locator.AbstractReplicationStrategy;
import org.apache.cassandra.locator.InetAddressAndPort;
import org.apache.cassandra.locator.NetworkTopologyStrategy;
import org.apache.cassandra.locator.Replica;
import org.apache.cassandra.locator.SimpleStrategy;
import org.apache.cassandra.locator.TokenMetadata;

/**
 * Asks Cassandra's own classes where keys stand, and prints placement.txt.
 *
 * javac -cp 'JARS/*' -d OUT Placement.java
 * java -cp 'OUT:JARS/*' (with Cassandra's --add-exports and --add-opens) Placement > placement.txt
 *
 * The seed is fixed: the same version of Cassandra prints the same file.
 */
public final class Placement
{
    private static final Random random = new Random(20260817);

    /** node: how many nodes stand in which rack, as "dc/rack" -> count. */
    private static void ring(String name, int tokens, int keys, Map<String, Integer> racks, String... keyspaces) throws Exception
    {
        Map<InetAddressAndPort, String[]> places = new LinkedHashMap<>();
        Map<InetAddressAndPort, String> names = new LinkedHashMap<>();
        int n = 0;
        for (Map.Entry<String, Integer> rack : racks.entrySet())
            for (int i = 0; i < rack.getValue(); i++)
            {
                n++;
                InetAddressAndPort at = InetAddressAndPort.getByName("127.1." + n / 200 + "." + (1 + n % 200));
                places.put(at, rack.getKey().split("/"));
                names.put(at, "n" + n);
            }
        AbstractNetworkTopologySnitch snitch = new AbstractNetworkTopologySnitch()
        {
            public String getRack(InetAddressAndPort at) { return places.get(at)[1]; }
            public String getDatacenter(InetAddressAndPort at) { return places.get(at)[0]; }
        };
        DatabaseDescriptor.setEndpointSnitch(snitch);
        TokenMetadata metadata = new TokenMetadata(snitch);
        System.out.println("ring " + name);
        for (InetAddressAndPort at : places.keySet())
        {
            Set<Token> own = new LinkedHashSet<>();
            StringJoiner printed = new StringJoiner(" ");
            for (int i = 0; i < tokens; i++)
            {
                long token = random.nextLong();
                if (n > 2 && names.get(at).equals("n1") && i == 0)
                    token = Long.MIN_VALUE; // a legal token that old generators hand out first
                own.add(new Murmur3Partitioner.LongToken(token));
                printed.add(Long.toString(token));
            }
            metadata.updateNormalTokens(own, at);
            System.out.println("member " + names.get(at) + " " + places.get(at)[0] + " " + places.get(at)[1] + " " + printed);
        }
        List<AbstractReplicationStrategy> strategies = new ArrayList<>();
        for (String keyspace : keyspaces)
        {
            strategies.add(strategy(keyspace, metadata, snitch));
            System.out.println("keyspace " + keyspace);
        }
        for (int i = 0; i < keys; i++)
        {
            byte[] key = key(i);
            Token token = Murmur3Partitioner.instance.getToken(ByteBuffer.wrap(key));
            StringBuilder line = new StringBuilder("key " + hex(key) + " " + token);
            for (AbstractReplicationStrategy s : strategies)
            {
                StringJoiner replicas = new StringJoiner(",");
                for (Replica r : s.calculateNaturalReplicas(token, metadata))
                    replicas.add(names.get(r.endpoint()));
                line.append(" ").append(replicas);
            }
            System.out.println(line);
        }
    }

    private static byte[] key(int i)
    {
        if (i % 2 == 0)
            return ("key-" + i).getBytes(StandardCharsets.UTF_8);
        byte[] key = new byte[1 + random.nextInt(40)];
        random.nextBytes(key);
        return key;
    }

    private static AbstractReplicationStrategy strategy(String keyspace, TokenMetadata metadata, AbstractNetworkTopologySnitch snitch)
    {
        Map<String, String> options = new TreeMap<>();
        for (String option : keyspace.split(",")) {
            String[] pair = option.split("=");
            options.put(pair[0].equals("simple") ? "replication_factor" : pair[0], pair[1]);
        }
        return options.containsKey("replication_factor")
             ? new SimpleStrategy("ks", metadata, snitch, options)
             : new NetworkTopologyStrategy("ks", metadata, snitch, options);
    }

    private static String hex(byte[] bytes)
    {
        StringBuilder b = new StringBuilder();
        for (byte x : bytes)
            b.append(String.format("%02x", x));
        return b.toString();
    }

    private static Map<String, Integer> racks(Object... pairs)
    {
        Map<String, Integer> m = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2)
            m.put((String) pairs[i], (Integer) pairs[i + 1]);
        return m;
    }

    public static void main(String[] args) throws Exception
    {
        DatabaseDescriptor.clientInitialization();
        DatabaseDescriptor.setPartitionerUnsafe(Murmur3Partitioner.instance);
        ring("three nodes in three racks", 4, 1000, racks("dc1/r1", 1, "dc1/r2", 1, "dc1/r3", 1), "dc1=1", "dc1=2", "simple=1");
        ring("one rack for all", 4, 60, racks("dc1/r1", 6), "dc1=1", "dc1=3", "dc1=9", "simple=3", "simple=9");
        ring("two racks for three replicas", 8, 120, racks("dc1/r1", 4, "dc1/r2", 4), "dc1=2", "dc1=3", "dc1=5");
        ring("a rack of one beside a full one", 8, 120, racks("dc1/r1", 7, "dc1/r2", 1, "dc1/r3", 2), "dc1=2", "dc1=3", "dc1=4", "simple=3");
        ring("two datacenters, equal rack names", 8, 120, racks("dc1/r1", 3, "dc1/r2", 3, "dc1/r3", 3, "dc2/r1", 2, "dc2/r2", 4),
             "dc1=3,dc2=2", "dc1=3,dc2=3", "dc2=3", "dc1=1,dc2=1", "dc1=3,dc3=3", "simple=4");
        ring("three datacenters of different size", 16, 120, racks("east/a", 5, "east/b", 2, "west/a", 3, "west/b", 3, "west/c", 3, "tiny/a", 1),
             "east=3,west=3,tiny=3", "west=5,tiny=1", "east=5", "simple=5");
        ring("one node", 1, 10, racks("dc1/r1", 1), "dc1=1", "dc1=3", "simple=2");
        System.exit(0);
    }
}
