// Check access tokens of idp in a Java service; needs com.nimbusds:oauth2-oidc-sdk 11.39, which brings
// nimbus-jose-jwt (and com.google.crypto.tink:tink when tokens are signed by EdDSA).
//
// As a program it reads tokens from standard input, one a line, and prints whether each is good:
//
//     java -cp "lib/*" VerifyToken.java orders orders.read orders.refund \
//         https://id.example.com
//
// A line of four words is a token that came as `Authorization: DPoP`, its `DPoP` header, and the
// method and the address of the request.

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.source.JWKSource;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.BadJOSEException;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jose.util.DefaultResourceRetriever;
import com.nimbusds.jose.util.JSONObjectUtils;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.JWTParser;
import com.nimbusds.jwt.SignedJWT;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import com.nimbusds.oauth2.sdk.dpop.JWKThumbprintConfirmation;
import com.nimbusds.oauth2.sdk.dpop.verifiers.AccessTokenValidationException;
import com.nimbusds.oauth2.sdk.dpop.verifiers.DPoPIssuer;
import com.nimbusds.oauth2.sdk.dpop.verifiers.DPoPProtectedResourceRequestVerifier;
import com.nimbusds.oauth2.sdk.dpop.verifiers.InMemoryDPoPSingleUseChecker;
import com.nimbusds.oauth2.sdk.dpop.verifiers.InvalidDPoPProofException;
import com.nimbusds.oauth2.sdk.id.ClientID;
import com.nimbusds.oauth2.sdk.token.DPoPAccessToken;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.URL;
import java.text.ParseException;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

public final class VerifyToken {

    private static final Set<JWSAlgorithm> ALGORITHMS =
            Set.of(JWSAlgorithm.RS256, JWSAlgorithm.PS256, JWSAlgorithm.ES256, JWSAlgorithm.EdDSA);

    /** What is trusted: each issuer with a processor that knows its keys. */
    private final Map<String, DefaultJWTProcessor<SecurityContext>> issuers = new HashMap<>();

    /** Proofs may be a minute old; used ones are remembered in this process. */
    private final DPoPProtectedResourceRequestVerifier proofs =
            new DPoPProtectedResourceRequestVerifier(
                    // The library checks no proofs by EdDSA, and wants a set that it may change.
                    new HashSet<>(Set.of(JWSAlgorithm.ES256, JWSAlgorithm.PS256)),
                    60,
                    60,
                    new InMemoryDPoPSingleUseChecker(120, 600));

    public VerifyToken(Collection<String> trusted, String audience)
            throws IOException, ParseException {
        for (String issuer : trusted) {
            issuers.put(issuer, processor(issuer, audience));
        }
    }

    /** Return the claims of a good bearer token; answer 401 when this throws. */
    public JWTClaimsSet verify(String token)
            throws ParseException, BadJOSEException, JOSEException {
        JWTClaimsSet claims = read(token);
        // RFC 9449 7.2: a token that is bound to a key must not pass as a bearer token.
        if (claims.getClaim("cnf") != null) {
            throw new BadJOSEException("bound to a key");
        }
        return claims;
    }

    /**
     * Return the claims of a token that came as `Authorization: DPoP`, with the `DPoP` header and
     * the request without its query.
     */
    public JWTClaimsSet verify(String token, String proof, String method, URI uri)
            throws ParseException, BadJOSEException, JOSEException {
        JWTClaimsSet claims = read(token);
        JWKThumbprintConfirmation confirmation = JWKThumbprintConfirmation.parse(claims);
        if (confirmation == null) {
            throw new BadJOSEException("not bound to a key");
        }
        try {
            // It checks algorithm, key, signature, times, `htm`, `htu`, `ath` and the thumbprint,
            // and accepts each `jti` once.
            proofs.verify(
                    method,
                    uri,
                    new DPoPIssuer(new ClientID(claims.getStringClaim("client_id"))),
                    SignedJWT.parse(proof),
                    new DPoPAccessToken(token),
                    confirmation,
                    null);
        } catch (InvalidDPoPProofException | AccessTokenValidationException problem) {
            throw new BadJOSEException(problem.getMessage());
        }
        return claims;
    }

    private JWTClaimsSet read(String token)
            throws ParseException, BadJOSEException, JOSEException {
        // All issuers of one installation share their keys: a good signature does not tell them
        // apart, only `iss` does. So it is looked up in our own list, before any request.
        JWTClaimsSet unverified = JWTParser.parse(token).getJWTClaimsSet();
        DefaultJWTProcessor<SecurityContext> processor =
                unverified == null ? null : issuers.get(unverified.getIssuer());
        if (processor == null) {
            throw new BadJOSEException("issued by somebody else");
        }
        return processor.process(token, null);
    }

    /** Whether a scope was granted; answer 403 when not. */
    public static boolean hasScope(JWTClaimsSet claims, String scope) throws ParseException {
        String granted = claims.getStringClaim("scope");
        return granted != null && Arrays.asList(granted.split(" ")).contains(scope);
    }

    /** Whether the token's person holds a permission, or a `….all` above it. */
    public static boolean hasPermission(JWTClaimsSet claims, String code) throws ParseException {
        if (Boolean.TRUE.equals(claims.getBooleanClaim("permission_ref"))) {
            throw new UnsupportedOperationException("too many for the token: ask introspection");
        }
        List<String> held = claims.getStringListClaim("permission");
        return held != null
                && held.stream()
                        .anyMatch(
                                one ->
                                        one.equals(code)
                                                || one.endsWith(".all")
                                                        && code.startsWith(
                                                                one.substring(
                                                                        0, one.length() - 3)));
    }

    private static DefaultJWTProcessor<SecurityContext> processor(String issuer, String audience)
            throws IOException, ParseException {
        URL discovery = URI.create(issuer + "/.well-known/openid-configuration").toURL();
        DefaultResourceRetriever retriever = new DefaultResourceRetriever(2000, 5000, 100_000);
        Map<String, Object> metadata =
                JSONObjectUtils.parse(retriever.retrieveResource(discovery).getContent());
        if (!issuer.equals(metadata.get("issuer"))) {
            throw new IOException(issuer + " calls itself " + metadata.get("issuer"));
        }
        URL keysAddress = URI.create(JSONObjectUtils.getString(metadata, "jwks_uri")).toURL();
        // Keys are kept for five minutes, and fetched again for an unknown key id, not too often.
        JWKSource<SecurityContext> keys =
                JWKSourceBuilder.<SecurityContext>create(keysAddress, retriever).build();
        DefaultJWTProcessor<SecurityContext> processor = new DefaultJWTProcessor<>();
        processor.setJWSKeySelector(new JWSVerificationKeySelector<>(ALGORITHMS, keys));
        // RFC 9068 4: an ID token must not pass for an access token.
        processor.setJWSTypeVerifier(
                new DefaultJOSEObjectTypeVerifier<>(new JOSEObjectType("at+jwt")));
        processor.setJWTClaimsSetVerifier(
                new DefaultJWTClaimsVerifier<>(
                        audience,
                        new JWTClaimsSet.Builder().issuer(issuer).build(),
                        Set.of("sub", "exp", "iat", "client_id")));
        return processor;
    }

    public static void main(String[] arguments) throws Exception {
        List<String> issuers = Arrays.asList(arguments).subList(3, arguments.length);
        VerifyToken verifier = new VerifyToken(issuers, arguments[0]);
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            try {
                String[] words = line.trim().split(" ");
                JWTClaimsSet claims =
                        words.length == 4
                                ? verifier.verify(
                                        words[0], words[1], words[2], URI.create(words[3]))
                                : verifier.verify(words[0]);
                if (!hasScope(claims, arguments[1])) {
                    System.out.println("refused: the scope was not granted");
                } else if (!hasPermission(claims, arguments[2])) {
                    System.out.println("refused: the permission is not held");
                } else {
                    System.out.println(claims);
                }
            } catch (ParseException | BadJOSEException | JOSEException problem) {
                System.out.println("refused: " + problem);
            }
        }
    }
}
