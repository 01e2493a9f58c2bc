import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Collectors;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.cloud.client.discovery.DiscoveryClient;
import org.springframework.cloud.client.loadbalancer.LoadBalanced;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.Environment;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.client.RestTemplate;

/**
 * An ordinary Spring Cloud Alibaba application: ADDRESS NAME HOST. It is driven by lines as protocol.md says: "ready" answers its port when it has started,
 * "list SERVICE" what DiscoveryClient knows, "call SERVICE" what http://SERVICE/ answers through its load balancer, "property NAME" a value of its environment.
 */
@EnableAutoConfiguration
@Configuration(proxyBeanMethods = false)
public class SpringSample {

    @RestController
    public static class Who {
        private final Environment environment;

        public Who(Environment environment) {
            this.environment = environment;
        }

        @GetMapping("/")
        public String who() {
            return "hello from " + environment.getProperty("spring.application.name");
        }
    }

    @Bean
    @LoadBalanced
    public RestTemplate restTemplate() {
        return new RestTemplate();
    }

    public static void main(String[] args) throws Exception {
        Map<String, Object> properties = new HashMap<>();
        properties.put("spring.application.name", args[1]);
        properties.put("spring.cloud.nacos.server-addr", args[0]);
        properties.put("spring.config.import", "optional:nacos:" + args[1] + ".properties?refreshEnabled=true");
        properties.put("server.address", args[2]);
        properties.put("server.port", "0");
        // where a machine has several addresses the starter has to be told which one it registers
        properties.put("spring.cloud.nacos.discovery.ip", args[2]);
        properties.put("spring.main.banner-mode", "off");
        SpringApplication application = new SpringApplication(SpringSample.class, Who.class);
        application.setDefaultProperties(properties);
        ConfigurableApplicationContext context = application.run();
        DiscoveryClient discovery = context.getBean(DiscoveryClient.class);
        RestTemplate rest = context.getBean(RestTemplate.class);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] fields = line.split("\t", -1);
            try {
                System.out.println("=\t" + fields[0] + "\t" + perform(fields, context.getEnvironment(), discovery, rest));
            } catch (Throwable e) {
                System.out.println("!\t" + fields[0] + "\t" + String.valueOf(e.getMessage()).replaceAll("\\s+", " "));
            }
        }
        // the application deregisters itself when its context closes
        context.close();
        System.exit(0);
    }

    private static String perform(String[] fields, Environment environment, DiscoveryClient discovery, RestTemplate rest) {
        switch (fields[1]) {
            case "ready":
                return environment.getProperty("local.server.port");
            case "list":
                return discovery.getInstances(fields[2]).stream().map(one -> one.getHost() + ":" + one.getPort()).sorted()
                        .collect(Collectors.joining(","));
            case "call":
                return rest.getForObject("http://" + fields[2] + "/", String.class);
            case "property":
                return environment.getProperty(fields[2], "");
            default:
                throw new IllegalArgumentException(fields[1]);
        }
    }
}
