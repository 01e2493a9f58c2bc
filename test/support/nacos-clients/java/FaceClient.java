import com.alibaba.nacos.api.NacosFactory;
import com.alibaba.nacos.api.PropertyKeyConst;
import com.alibaba.nacos.api.config.ConfigService;
import com.alibaba.nacos.api.config.listener.AbstractListener;
import com.alibaba.nacos.api.naming.NamingService;
import com.alibaba.nacos.api.naming.listener.NamingEvent;
import com.alibaba.nacos.api.naming.pojo.Instance;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;

/** Drives the official Java client by the protocol of protocol.md. */
public class FaceClient {

    private static NamingService naming;
    private static ConfigService config;
    private static Properties properties;

    static synchronized void say(String... fields) {
        StringBuilder line = new StringBuilder();
        for (String field : fields) {
            if (line.length() > 0) {
                line.append('\t');
            }
            line.append(field == null ? "" : field.replaceAll("[\\t\\r\\n]+", " "));
        }
        System.out.println(line);
        System.out.flush();
    }

    static synchronized NamingService naming() throws Exception {
        if (naming == null) {
            naming = NacosFactory.createNamingService(properties);
        }
        return naming;
    }

    static synchronized ConfigService config() throws Exception {
        if (config == null) {
            config = NacosFactory.createConfigService(properties);
        }
        return config;
    }

    static String hosts(List<Instance> instances) {
        return instances.stream().filter(Instance::isHealthy).map(i -> i.getIp() + ":" + i.getPort()).sorted()
                .collect(Collectors.joining(","));
    }

    static String perform(String[] f) throws Exception {
        switch (f[1]) {
            case "register": {
                Instance instance = new Instance();
                instance.setIp(f[3]);
                instance.setPort(Integer.parseInt(f[4]));
                if (f.length > 5 && f[5].contains("=")) {
                    instance.addMetadata(f[5].split("=")[0], f[5].split("=")[1]);
                }
                naming().registerInstance(f[2], instance);
                return "";
            }
            case "deregister":
                naming().deregisterInstance(f[2], f[3], Integer.parseInt(f[4]));
                return "";
            case "list":
                return hosts(naming().selectInstances(f[2], true, false));
            case "subscribe":
                naming().subscribe(f[2], event -> say("@", "service", f[2], hosts(((NamingEvent) event).getInstances())));
                return "";
            case "get": {
                String content = config().getConfig(f[2], f[3], 5000);
                return content == null ? "" : content;
            }
            case "publish":
                return String.valueOf(config().publishConfig(f[2], f[3], f[4]));
            case "listen":
                config().addListener(f[2], f[3], new AbstractListener() {
                    @Override
                    public void receiveConfigInfo(String content) {
                        say("@", "config", f[2], content);
                    }
                });
                return "";
            default:
                throw new IllegalArgumentException("unknown operation " + f[1]);
        }
    }

    public static void main(String[] args) throws Exception {
        properties = new Properties();
        properties.setProperty(PropertyKeyConst.SERVER_ADDR, args[0]);
        if (args.length > 1 && !args[1].isEmpty()) {
            properties.setProperty(PropertyKeyConst.USERNAME, args[1]);
            properties.setProperty(PropertyKeyConst.PASSWORD, args[2]);
        }
        ExecutorService workers = Executors.newCachedThreadPool();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] fields = line.split("\t", -1);
            workers.submit(() -> {
                try {
                    say("=", fields[0], perform(fields));
                } catch (Throwable e) {
                    say("!", fields[0], String.valueOf(e));
                }
            });
        }
        System.exit(0);
    }
}
